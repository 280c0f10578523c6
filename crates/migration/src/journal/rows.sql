-- Adds to a step what was not known when it was recorded, as the role that migrates.
SET LOCAL SESSION AUTHORIZATION DEFAULT;
SET LOCAL role TO DEFAULT;
UPDATE migration.steps SET rows = $3::bigint, note = $4 WHERE run_id = $1::bigint AND number = $2::integer
