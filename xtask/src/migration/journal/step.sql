INSERT INTO migration.steps
    (run_id, number, phase, file, line, statement_hash, summary, started, duration, lock_wait, attempts, rows, outcome, error)
VALUES
    ($1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp() - $8 * interval '1 microsecond', $8 * interval '1 microsecond',
     $9 * interval '1 microsecond', $10, $11, $12, $13)
