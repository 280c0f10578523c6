-- The tables and views that are there, with what tells a rewrite and a scan, and the locks on them
-- that this session holds.
SELECT c.oid::bigint AS oid,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name,
       c.relfilenode::bigint AS file,
       coalesce(pg_catalog.pg_stat_get_xact_numscans(c.oid), 0) AS scans,
       coalesce(
           (SELECT pg_catalog.array_agg(l.mode) FROM pg_catalog.pg_locks AS l
            WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation = c.oid),
           '{}') AS modes
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f') AND c.oid >= 16384
  AND n.nspname NOT IN ('information_schema', 'migration') AND n.nspname !~ '^pg_'
