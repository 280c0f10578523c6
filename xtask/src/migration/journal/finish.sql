-- Steps commit asynchronously; this write waits for the disk, and so makes all before it durable.
UPDATE migration.runs
SET finished = pg_catalog.clock_timestamp(), outcome = $2, error = $3, statements_run = $4, statements_skipped = $5,
    changes = $6::text::jsonb, expected_hash = $7, fingerprint = $8
FROM (SELECT pg_catalog.set_config('synchronous_commit', $9, true)) AS durability
WHERE id = $1
