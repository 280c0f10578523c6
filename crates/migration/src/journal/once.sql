-- Records that a statement has run here: $1 the hash of its tokens, $2 which of those with this hash, $3 the run, $4 the
-- step; none where it is taken for done. Never trimmed.
INSERT INTO migration.once (hash, occurrence, run_id, step, recorded)
VALUES ($1, $2::integer, $3::bigint, $4::integer, pg_catalog.clock_timestamp())
ON CONFLICT (hash, occurrence) DO UPDATE SET run_id = EXCLUDED.run_id, step = EXCLUDED.step, recorded = EXCLUDED.recorded
