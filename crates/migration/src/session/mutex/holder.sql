-- Who holds the mutex. Of other users' sessions PostgreSQL may tell no more than the process id.
SELECT l.pid, coalesce(a.usename::text, '?') AS user_name, coalesce(a.application_name, '') AS application,
       coalesce(pg_catalog.host(a.client_addr), 'local') AS address,
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.backend_start), 0)::double precision AS seconds
FROM pg_catalog.pg_locks AS l
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
  AND (l.classid::bigint << 32) | l.objid::bigint = $1
