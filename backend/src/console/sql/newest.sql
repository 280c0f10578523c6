-- What changes while a migration runs.
SELECT r.id, r.outcome,
       (SELECT pg_catalog.count(*) FROM migration.steps AS s WHERE s.run_id = r.id) AS steps
FROM migration.runs AS r
ORDER BY r.id DESC
LIMIT 1
