-- Who holds a lock that conflicts with one that a statement is about to ask for: tables $1, and for each the
-- modes that conflict, in $2. What a prepared transaction holds has no process (pid is NULL).
SELECT DISTINCT coalesce(l.pid, 0) AS pid, a.usename::text AS user_name, a.application_name AS application, a.state,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::double precision AS seconds,
       pg_catalog.regexp_replace(pg_catalog.left(a.query, 500), '\s+', ' ', 'g') AS query,
       l.virtualtransaction AS transaction
FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS wanted (name, modes)
JOIN pg_catalog.pg_locks AS l
  ON l.locktype = 'relation' AND l.granted AND l.relation = pg_catalog.to_regclass(wanted.name)
 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
 AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
 AND l.mode = ANY (pg_catalog.string_to_array(wanted.modes, ' '))
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
