-- All types but enums. Row types of tables, array types and multirange types come with what they belong to.
SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0,
       CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
       n.name || '.' || pg_catalog.quote_ident(t.typname),
       CASE t.typtype
       WHEN 'c' THEN '(' || coalesce(a.attributes, '') || ')'
       WHEN 'd' THEN pg_catalog.concat_ws(' ',
           pg_catalog.format_type(t.typbasetype, t.typtypmod),
           CASE WHEN t.typcollation NOT IN (0, base.typcollation)
               THEN 'collate ' || t.typcollation::pg_catalog.regcollation END,
           CASE WHEN t.typnotnull THEN 'not null' END,
           'default ' || coalesce(pg_catalog.pg_get_expr(t.typdefaultbin, 0), t.typdefault))
       WHEN 'r' THEN pg_catalog.concat_ws(' ',
           'range of ' || pg_catalog.format_type(r.rngsubtype, NULL),
           'operator class ' || opn.nspname || '.' || pg_catalog.quote_ident(op.opcname),
           CASE WHEN r.rngcollation <> 0 THEN 'collate ' || r.rngcollation::pg_catalog.regcollation END,
           CASE WHEN r.rngcanonical <> 0 THEN 'canonical ' || r.rngcanonical END,
           CASE WHEN r.rngsubdiff <> 0 THEN 'subtype difference ' || r.rngsubdiff END,
           'multirange ' || pg_catalog.format_type(r.rngmultitypid, NULL))
       WHEN 'p' THEN 'shell'
       WHEN 'b' THEN pg_catalog.concat_ws(' ',
           'base input ' || t.typinput, 'output ' || t.typoutput,
           CASE WHEN t.typreceive <> 0 THEN 'receive ' || t.typreceive END,
           CASE WHEN t.typsend <> 0 THEN 'send ' || t.typsend END,
           CASE WHEN t.typmodin <> 0 THEN 'typmod in ' || t.typmodin END,
           CASE WHEN t.typmodout <> 0 THEN 'typmod out ' || t.typmodout END,
           CASE WHEN t.typanalyze <> 0 THEN 'analyze ' || t.typanalyze END,
           CASE WHEN t.typsubscript <> 0 THEN 'subscript ' || t.typsubscript END,
           'length ' || t.typlen,
           CASE WHEN t.typbyval THEN 'by value' END,
           'alignment ' || t.typalign::text, 'storage ' || t.typstorage::text,
           'category ' || t.typcategory::text,
           CASE WHEN t.typispreferred THEN 'preferred' END,
           'delimiter ' || t.typdelim::text,
           CASE WHEN t.typelem <> 0 THEN 'element ' || pg_catalog.format_type(t.typelem, NULL) END,
           CASE WHEN t.typcollation <> 0 THEN 'collatable' END,
           'default ' || pg_catalog.quote_literal(t.typdefault))
       END,
       t.typowner, 'T', t.typacl
FROM pg_catalog.pg_type t
JOIN namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_catalog.pg_type base ON base.oid = t.typbasetype
LEFT JOIN (
    SELECT k.reltype, pg_catalog.string_agg(
        pg_catalog.quote_ident(f.attname) || ' ' || pg_catalog.format_type(f.atttypid, f.atttypmod)
        || CASE WHEN f.attcollation NOT IN (0, ft.typcollation)
               THEN ' collate ' || f.attcollation::pg_catalog.regcollation ELSE '' END,
        ', ' ORDER BY f.attnum) AS attributes
    FROM relation k
    JOIN pg_catalog.pg_attribute f ON f.attrelid = k.oid AND f.attnum > 0 AND NOT f.attisdropped
    JOIN pg_catalog.pg_type ft ON ft.oid = f.atttypid
    WHERE k.relkind = 'c'
    GROUP BY k.reltype) a ON a.reltype = t.oid
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_opclass op ON op.oid = r.rngsubopc
LEFT JOIN pg_catalog.pg_namespace opn ON opn.oid = op.opcnamespace
WHERE t.oid >= 16384
  AND t.typtype IN ('c', 'd', 'r', 'p', 'b')
  AND (t.typtype <> 'c' OR c.relkind = 'c')
  AND NOT (t.typtype = 'b' AND t.typelem <> 0 AND EXISTS (
      SELECT FROM pg_catalog.pg_type el WHERE el.oid = t.typelem AND el.typarray = t.oid))
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid)
UNION ALL
SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0, 'domain constraint',
       pg_catalog.quote_ident(k.conname) || ' on ' || n.name || '.' || pg_catalog.quote_ident(t.typname),
       CASE WHEN k.contype <> 'n' THEN pg_catalog.pg_get_constraintdef(k.oid) END,
       NULL, NULL, NULL
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_type t ON t.oid = k.contypid
JOIN namespace n ON n.oid = t.typnamespace
WHERE k.contypid <> 0
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid)
