-- What this transaction has done to relations so far: the locks that it holds on them, their files (none of what it
-- dropped), how often it read them from end to end, and how many rows it put in, changed and took out.
SELECT l.relation AS oid, pg_catalog.array_agg(l.mode) AS modes, c.relfilenode AS file,
       coalesce(pg_catalog.pg_stat_get_xact_numscans(l.relation), 0) AS scans,
       coalesce(pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation), 0) AS inserted,
       coalesce(pg_catalog.pg_stat_get_xact_tuples_updated(l.relation), 0) AS updated,
       coalesce(pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation), 0) AS deleted,
       c.relkind, c.relpersistence = 't' AS temporary,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
GROUP BY l.relation, c.relfilenode, c.relkind, c.relpersistence, n.nspname, c.relname
