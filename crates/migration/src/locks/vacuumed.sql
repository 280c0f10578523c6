-- The tables that autovacuum is at, of those that keep others waiting: its processes $1 have no user.
SELECT DISTINCT l.pid, l.relation::pg_catalog.regclass::text AS relation
FROM pg_catalog.pg_locks AS l
JOIN pg_catalog.pg_class AS c ON c.oid = l.relation AND c.relkind IN ('r', 'm')
WHERE l.pid = ANY ($1) AND l.locktype = 'relation' AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
