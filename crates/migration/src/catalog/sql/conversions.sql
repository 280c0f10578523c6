-- Objects that have no schema are told from initdb's by their oid.
SELECT 'pg_catalog.pg_cast'::pg_catalog.regclass, k.oid, 0, 'cast',
       pg_catalog.format('(%s as %s)', pg_catalog.format_type(k.castsource, NULL),
           pg_catalog.format_type(k.casttarget, NULL)),
       pg_catalog.concat_ws(' ',
           CASE k.castmethod
               WHEN 'f' THEN 'with function ' || k.castfunc::pg_catalog.regprocedure
               WHEN 'i' THEN 'with inout' ELSE 'without function' END,
           CASE k.castcontext WHEN 'a' THEN 'as assignment' WHEN 'i' THEN 'as implicit' END),
       NULL::pg_catalog.oid, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_cast k
WHERE k.oid >= 16384
  -- The cast of a range to its multirange comes with the type.
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_cast'::pg_catalog.regclass AND d.objid = k.oid
      AND d.deptype IN ('i', 'e'))
UNION ALL
SELECT 'pg_catalog.pg_collation'::pg_catalog.regclass, k.oid, 0, 'collation',
       n.name || '.' || pg_catalog.quote_ident(k.collname),
       pg_catalog.concat_ws(' ',
           'provider ' || CASE k.collprovider
               WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' WHEN 'd' THEN 'default'
               ELSE k.collprovider::text END,
           -- The column is colliculocale up to 16 and colllocale from 17 on.
           'locale ' || pg_catalog.quote_literal(coalesce(
               pg_catalog.to_jsonb(k) ->> 'colllocale', pg_catalog.to_jsonb(k) ->> 'colliculocale')),
           'lc_collate ' || pg_catalog.quote_literal(k.collcollate),
           'lc_ctype ' || pg_catalog.quote_literal(k.collctype),
           'rules ' || pg_catalog.quote_literal(pg_catalog.to_jsonb(k) ->> 'collicurules'),
           CASE WHEN NOT k.collisdeterministic THEN 'not deterministic' END),
       k.collowner, NULL, NULL
FROM pg_catalog.pg_collation k
JOIN namespace n ON n.oid = k.collnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass AND m.objid = k.oid)
UNION ALL
SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, k.oid, 0, 'conversion',
       n.name || '.' || pg_catalog.quote_ident(k.conname),
       pg_catalog.concat_ws(' ',
           CASE WHEN k.condefault THEN 'default' END,
           'for ' || pg_catalog.quote_literal(pg_catalog.pg_encoding_to_char(k.conforencoding)),
           'to ' || pg_catalog.quote_literal(pg_catalog.pg_encoding_to_char(k.contoencoding)),
           'from ' || k.conproc),
       k.conowner, NULL, NULL
FROM pg_catalog.pg_conversion k
JOIN namespace n ON n.oid = k.connamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_conversion'::pg_catalog.regclass AND m.objid = k.oid)
UNION ALL
SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, 0, 'language',
       pg_catalog.quote_ident(l.lanname),
       pg_catalog.concat_ws(' ',
           CASE WHEN l.lanpltrusted THEN 'trusted' END,
           'handler ' || l.lanplcallfoid::pg_catalog.regprocedure,
           CASE WHEN l.laninline <> 0 THEN 'inline ' || l.laninline::pg_catalog.regprocedure END,
           CASE WHEN l.lanvalidator <> 0
               THEN 'validator ' || l.lanvalidator::pg_catalog.regprocedure END),
       l.lanowner, 'l', l.lanacl
FROM pg_catalog.pg_language l
WHERE l.oid >= 16384
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_language'::pg_catalog.regclass AND m.objid = l.oid)
UNION ALL
SELECT 'pg_catalog.pg_transform'::pg_catalog.regclass, t.oid, 0, 'transform',
       pg_catalog.format('for %s language %s', pg_catalog.format_type(t.trftype, NULL),
           pg_catalog.quote_ident(l.lanname)),
       pg_catalog.concat_ws(' ',
           CASE WHEN t.trffromsql <> 0
               THEN 'from sql with function ' || t.trffromsql::pg_catalog.regprocedure END,
           CASE WHEN t.trftosql <> 0
               THEN 'to sql with function ' || t.trftosql::pg_catalog.regprocedure END),
       NULL, NULL, NULL
FROM pg_catalog.pg_transform t
JOIN pg_catalog.pg_language l ON l.oid = t.trflang
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_transform'::pg_catalog.regclass AND m.objid = t.oid)
UNION ALL
SELECT 'pg_catalog.pg_am'::pg_catalog.regclass, a.oid, 0, 'access method',
       pg_catalog.quote_ident(a.amname),
       CASE a.amtype WHEN 'i' THEN 'index' WHEN 't' THEN 'table' ELSE a.amtype::text END
           || ' handler ' || a.amhandler,
       NULL, NULL, NULL
FROM pg_catalog.pg_am a
WHERE a.oid >= 16384
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_am'::pg_catalog.regclass AND m.objid = a.oid)
