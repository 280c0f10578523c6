SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0, 'index', c.identity,
       pg_catalog.concat_ws(' ',
           pg_catalog.pg_get_indexdef(c.oid),
           'tablespace ' || pg_catalog.quote_ident(ts.spcname),
           'attached to ' || p.identity,
           CASE WHEN i.indisclustered THEN 'clustered' END,
           CASE WHEN i.indisreplident THEN 'replica identity' END,
           s.targets,
           CASE WHEN NOT (i.indisvalid AND i.indisready AND i.indislive) THEN 'INVALID' END),
       c.relowner, NULL, NULL
FROM pg_catalog.pg_index i
JOIN relation c ON c.oid = i.indexrelid
JOIN relation t ON t.oid = i.indrelid
LEFT JOIN pg_catalog.pg_inherits h ON h.inhrelid = c.oid
LEFT JOIN relation p ON p.oid = h.inhparent
LEFT JOIN pg_catalog.pg_tablespace ts ON ts.oid = c.reltablespace
LEFT JOIN (
    SELECT a.attrelid, pg_catalog.string_agg(
        'statistics of column ' || a.attnum || ' ' || a.attstattarget, ' ' ORDER BY a.attnum) AS targets
    FROM pg_catalog.pg_attribute a
    JOIN pg_catalog.pg_index x ON x.indexrelid = a.attrelid
    WHERE a.attstattarget >= 0 AND a.attnum > 0 AND a.attrelid >= 16384
    GROUP BY a.attrelid) s ON s.attrelid = c.oid
