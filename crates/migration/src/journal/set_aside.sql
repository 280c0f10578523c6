-- How many rows each of the runs $1 moved to the quarantine, which must be there.
SELECT q.run_id, pg_catalog.count(*) AS rows
FROM migration.quarantine AS q
WHERE q.run_id = ANY ($1)
GROUP BY q.run_id
