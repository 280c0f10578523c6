-- The relations on which this transaction holds locks, its own new ones too; how often it read them from end to end, and
-- how many rows it put in, changed and took out.
SELECT l.relation, l.modes,
       coalesce(pg_catalog.pg_stat_get_xact_numscans(l.relation), 0),
       coalesce(pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation), 0),
       coalesce(pg_catalog.pg_stat_get_xact_tuples_updated(l.relation), 0),
       coalesce(pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation), 0)
FROM (
    SELECT p.relation, pg_catalog.array_agg(p.mode) AS modes
    FROM pg_catalog.pg_lock_status() AS p
    WHERE p.pid = pg_catalog.pg_backend_pid() AND p.locktype = 'relation' AND p.granted AND p.relation >= 16384
    GROUP BY p.relation) AS l
