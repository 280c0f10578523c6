-- Steps commit asynchronously; this write waits for the disk, and so makes all before it durable. Nobody came between
-- the look at the catalog and this record if it gets the transaction number $10 that was next then.
UPDATE migration.runs
SET finished = pg_catalog.clock_timestamp(), outcome = $2, error = $3, statements_run = $4, statements_skipped = $5,
    changes = coalesce($6::text::jsonb, changes), changes_seen = $6 IS NOT NULL, expected_hash = $7, fingerprint = $8,
    stalled = $11 * interval '1 second',
    settled = coalesce(pg_catalog.pg_current_xact_id()::text = $10, false)
FROM (SELECT pg_catalog.set_config('synchronous_commit', $9, true)) AS durability
WHERE id = $1
