-- Who keeps the session $1 waiting. Of other users' sessions PostgreSQL may tell no more than the process id.
SELECT blocker.pid, a.usename::text AS user_name, a.application_name AS application, a.state,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::double precision AS seconds,
       pg_catalog.regexp_replace(pg_catalog.left(a.query, 500), '\s+', ' ', 'g') AS query,
       (SELECT l.virtualtransaction FROM pg_catalog.pg_locks AS l
        WHERE l.pid = blocker.pid AND l.locktype = 'virtualxid' AND l.granted LIMIT 1) AS transaction
FROM pg_catalog.unnest(pg_catalog.pg_blocking_pids($1)) AS blocker (pid)
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = blocker.pid
