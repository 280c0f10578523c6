-- Who keeps the session $1 waiting. Of other users' sessions PostgreSQL may tell no more than the process id.
SELECT blocker.pid, a.usename::text AS user_name, a.application_name AS application, a.state,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::double precision AS seconds,
       pg_catalog.regexp_replace(pg_catalog.left(a.query, 500), '\s+', ' ', 'g') AS query,
       (SELECT l.virtualtransaction FROM pg_catalog.pg_locks AS l
        WHERE l.pid = blocker.pid AND l.locktype = 'virtualxid' AND l.granted LIMIT 1) AS transaction
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) AS blocker (pid)
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = blocker.pid
WHERE blocker.pid <> 0
UNION ALL
-- A prepared transaction blocks as process 0: it is one of those that hold what the session waits for.
SELECT DISTINCT 0, NULL, NULL, NULL, NULL::double precision, NULL, held.virtualtransaction
FROM pg_catalog.pg_locks AS wanted
JOIN pg_catalog.pg_locks AS held
  ON held.granted AND held.pid IS NULL AND held.locktype = wanted.locktype
 AND held.database IS NOT DISTINCT FROM wanted.database
 AND held.relation IS NOT DISTINCT FROM wanted.relation
 AND held.page IS NOT DISTINCT FROM wanted.page
 AND held.tuple IS NOT DISTINCT FROM wanted.tuple
 AND held.virtualxid IS NOT DISTINCT FROM wanted.virtualxid
 AND held.transactionid IS NOT DISTINCT FROM wanted.transactionid
 AND held.classid IS NOT DISTINCT FROM wanted.classid
 AND held.objid IS NOT DISTINCT FROM wanted.objid
 AND held.objsubid IS NOT DISTINCT FROM wanted.objsubid
WHERE wanted.pid = $1 AND NOT wanted.granted AND 0 = ANY (pg_catalog.pg_blocking_pids($1))
