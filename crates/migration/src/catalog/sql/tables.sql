SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0,
       CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END,
       c.identity,
       pg_catalog.concat_ws(' ',
           CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
           CASE WHEN c.reloftype <> 0
               THEN 'of ' || pg_catalog.format_type(c.reloftype, NULL) END,
           CASE WHEN c.relispartition THEN 'partition of ' ELSE 'inherits ' END || i.parents,
           CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END,
           CASE WHEN i.detaching THEN 'detach pending' END,
           CASE c.relkind WHEN 'p' THEN 'partition by ' || pg_catalog.pg_get_partkeydef(c.oid) END,
           'server ' || pg_catalog.quote_ident(fs.srvname),
           CASE WHEN ft.ftoptions IS NOT NULL THEN 'options (' || (
               SELECT pg_catalog.string_agg(pg_catalog.quote_ident(o.option_name) || ' '
                   || pg_catalog.quote_literal(o.option_value), ', ' ORDER BY o.option_name)
               FROM pg_catalog.pg_options_to_table(ft.ftoptions) o) || ')' END,
           CASE WHEN am.amname <> 'heap' THEN 'using ' || pg_catalog.quote_ident(am.amname) END,
           CASE WHEN c.reloptions IS NOT NULL OR toast.reloptions IS NOT NULL THEN 'with (' || (
               SELECT pg_catalog.string_agg(o.option, ', ' ORDER BY o.option)
               FROM (SELECT pg_catalog.unnest(c.reloptions) AS option
                     UNION ALL
                     SELECT 'toast.' || pg_catalog.unnest(toast.reloptions)) o) || ')' END,
           'tablespace ' || pg_catalog.quote_ident(ts.spcname),
           CASE WHEN c.relrowsecurity THEN 'row level security' END,
           CASE WHEN c.relforcerowsecurity THEN 'forced row level security' END,
           CASE c.relreplident
               WHEN 'f' THEN 'replica identity full'
               WHEN 'n' THEN 'replica identity nothing'
               WHEN 'i' THEN 'replica identity index' END),
       c.relowner, 'r', c.relacl
FROM relation c
LEFT JOIN (
    SELECT h.inhrelid, pg_catalog.bool_or(h.inhdetachpending) AS detaching,
           pg_catalog.string_agg(p.identity, ', ' ORDER BY h.inhseqno) AS parents
    FROM pg_catalog.pg_inherits h
    JOIN relation p ON p.oid = h.inhparent
    GROUP BY h.inhrelid) i ON i.inhrelid = c.oid
LEFT JOIN pg_catalog.pg_foreign_table ft ON ft.ftrelid = c.oid
LEFT JOIN pg_catalog.pg_foreign_server fs ON fs.oid = ft.ftserver
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid AND toast.reloptions IS NOT NULL
WHERE c.relkind IN ('r', 'p', 'f')
