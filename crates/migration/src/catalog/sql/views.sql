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
           'as ' || coalesce(pg_catalog.regexp_replace(
               d.text, '(^|[^\w."])' || single.name || '\.(?!\*)', '\1', 'g'), d.text)),
       c.relowner, 'r', c.relacl
FROM relation c
LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid AND toast.reloptions IS NOT NULL
CROSS JOIN LATERAL (SELECT pg_catalog.btrim(pg_catalog.pg_get_viewdef(c.oid), ' ;') AS text) d
-- From PostgreSQL 16 on, the columns of a view on one table print without the table's name: take it
-- away before, where the query is plain enough to tell.
LEFT JOIN LATERAL (
    SELECT pg_catalog.regexp_replace(coalesce(m[2], m[1]), '(\W)', '\\\1', 'g') AS name
    FROM pg_catalog.regexp_match(
        d.text, '\n   FROM (?:(?:\w+|"[^"]+")\.)?(\w+|"[^"]+")(?: (\w+|"[^"]+"))?(?:\n|$)') m
    WHERE pg_catalog.current_setting('server_version_num')::int < 160000
      AND d.text !~ 'SELECT.*SELECT' AND d.text !~ '\n +(\w+ )?JOIN '
      AND NOT EXISTS (
          SELECT FROM pg_catalog.regexp_matches(d.text, '''[^'']*''', 'g') literal
          WHERE pg_catalog.strpos(literal[1], coalesce(m[2], m[1])) > 0)) single ON true
WHERE c.relkind IN ('v', 'm')
