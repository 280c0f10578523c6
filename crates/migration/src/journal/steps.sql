-- The steps of the run $1.
SELECT s.number, s.phase, s.file, s.line, s.statement_hash, s.summary,
       pg_catalog.to_jsonb(s.started) #>> '{}' AS started,
       extract(epoch FROM s.duration)::double precision AS duration,
       extract(epoch FROM s.lock_wait)::double precision AS lock_wait, s.attempts, s.rows, s.outcome, s.error, s.note
FROM migration.steps AS s
WHERE s.run_id = $1
ORDER BY s.number
