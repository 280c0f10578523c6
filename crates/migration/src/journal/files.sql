-- The files that the runs $1 ran statements of, the last one first.
SELECT s.file
FROM migration.steps AS s
WHERE s.run_id = ANY ($1) AND s.outcome IN ('done', 'failed', 'interrupted')
GROUP BY s.file
ORDER BY pg_catalog.max(s.run_id) DESC, pg_catalog.max(s.number) DESC
