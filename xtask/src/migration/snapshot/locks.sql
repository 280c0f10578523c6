-- The locks on relations that this session holds, the files of those relations (none if it dropped them), and how often
-- it read them from end to end.
SELECT l.relation AS oid, pg_catalog.array_agg(l.mode) AS modes, c.relfilenode AS file,
       coalesce(pg_catalog.pg_stat_get_xact_numscans(l.relation), 0) AS scans
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384
GROUP BY l.relation, c.relfilenode
