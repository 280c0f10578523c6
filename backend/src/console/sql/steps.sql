-- The steps of the run $1. What PostgreSQL said of a failure may quote values, so only its code is told.
SELECT s.number, s.file, s.line, s.summary, s.outcome,
       extract(epoch FROM s.duration)::double precision AS seconds,
       extract(epoch FROM s.lock_wait)::double precision AS lock_wait,
       s.rows,
       pg_catalog.substring(s.error, 'SQLSTATE ([0-9A-Z]{5})') AS sqlstate
FROM migration.steps AS s
WHERE s.run_id = $1
ORDER BY s.number
LIMIT 2000
