-- Ends those of the sessions $1 that do nothing in an open transaction, for longer than $2 seconds. Looked at in the same
-- moment: who has gone on meanwhile is let alone.
SELECT a.pid, a.usename::text AS user_name, a.application_name AS application, a.state,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.state_change)::double precision AS seconds,
       pg_catalog.regexp_replace(pg_catalog.left(a.query, 500), '\s+', ' ', 'g') AS query, NULL::text AS transaction
FROM pg_catalog.pg_stat_activity AS a
WHERE a.pid = ANY ($1) AND a.backend_type = 'client backend'
  AND a.state IN ('idle in transaction', 'idle in transaction (aborted)')
  AND a.state_change < pg_catalog.clock_timestamp() - $2 * interval '1 second'
  AND pg_catalog.pg_terminate_backend(a.pid)
