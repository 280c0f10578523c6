-- What statements of the runs $1 renamed, the last one first.
SELECT s.summary
FROM migration.steps AS s
WHERE s.run_id = ANY ($1) AND s.outcome = 'done' AND s.summary ILIKE 'alter%rename%'
ORDER BY s.run_id DESC, s.number DESC
