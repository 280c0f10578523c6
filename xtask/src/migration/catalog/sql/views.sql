SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0,
       CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END,
       c.identity,
       pg_catalog.concat_ws(' ',
           CASE WHEN am.amname <> 'heap' THEN 'using ' || pg_catalog.quote_ident(am.amname) END,
           CASE WHEN c.reloptions IS NOT NULL OR toast.reloptions IS NOT NULL THEN 'with (' || (
               SELECT pg_catalog.string_agg(o.option, ', ' ORDER BY o.option)
               FROM (SELECT pg_catalog.unnest(c.reloptions) AS option
                     UNION ALL
                     SELECT 'toast.' || pg_catalog.unnest(toast.reloptions)) o) || ')' END,
           'tablespace ' || pg_catalog.quote_ident(ts.spcname),
           'as ' || pg_catalog.btrim(pg_catalog.pg_get_viewdef(c.oid), ' ;')),
       c.relowner, 'r', c.relacl
FROM relation c
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid AND toast.reloptions IS NOT NULL
WHERE c.relkind IN ('v', 'm')
