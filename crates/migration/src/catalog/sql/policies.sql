SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid, 0, 'rule',
       pg_catalog.quote_ident(w.rulename) || ' on ' || c.identity,
       pg_catalog.concat_ws(' ',
           pg_catalog.pg_get_ruledef(w.oid),
           CASE w.ev_enabled
               WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END),
       NULL::pg_catalog.oid, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_rewrite w
JOIN relation c ON c.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'pg_catalog.pg_policy'::pg_catalog.regclass, y.oid, 0, 'policy',
       pg_catalog.quote_ident(y.polname) || ' on ' || c.identity,
       pg_catalog.concat_ws(' ',
           CASE WHEN y.polpermissive THEN 'permissive' ELSE 'restrictive' END,
           CASE y.polcmd WHEN 'r' THEN 'for select' WHEN 'a' THEN 'for insert'
               WHEN 'w' THEN 'for update' WHEN 'd' THEN 'for delete' ELSE 'for all' END,
           'to ' || (
               SELECT pg_catalog.string_agg(
                   CASE WHEN u = 0 THEN 'public'
                        WHEN u IN (SELECT m.oid FROM migrator m) THEN 'the owner'
                        ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(u)) END, ', '
                   ORDER BY pg_catalog.pg_get_userbyid(u)::text COLLATE "C")
               FROM pg_catalog.unnest(y.polroles) u),
           'using (' || pg_catalog.pg_get_expr(y.polqual, y.polrelid) || ')',
           'with check (' || pg_catalog.pg_get_expr(y.polwithcheck, y.polrelid) || ')'),
       NULL, NULL, NULL
FROM pg_catalog.pg_policy y
JOIN relation c ON c.oid = y.polrelid
UNION ALL
SELECT 'pg_catalog.pg_event_trigger'::pg_catalog.regclass, v.oid, 0, 'event trigger',
       pg_catalog.quote_ident(v.evtname),
       pg_catalog.concat_ws(' ',
           'on ' || v.evtevent,
           'when tag in (' || (
               SELECT pg_catalog.string_agg(pg_catalog.quote_literal(tag), ', ' ORDER BY tag)
               FROM pg_catalog.unnest(v.evttags) tag) || ')',
           'execute function ' || v.evtfoid::pg_catalog.regprocedure,
           CASE v.evtenabled
               WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END),
       v.evtowner, NULL, NULL
FROM pg_catalog.pg_event_trigger v
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass AND m.objid = v.oid)
UNION ALL
SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass, x.oid, 0, 'statistics',
       n.name || '.' || pg_catalog.quote_ident(x.stxname),
       pg_catalog.concat_ws(' ',
           pg_catalog.pg_get_statisticsobjdef(x.oid),
           CASE WHEN x.stxstattarget >= 0 THEN 'statistics ' || x.stxstattarget END),
       x.stxowner, NULL, NULL
FROM pg_catalog.pg_statistic_ext x
JOIN namespace n ON n.oid = x.stxnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND m.objid = x.oid)
