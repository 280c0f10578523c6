-- Records a step. Where it follows its statement in the same transaction, the server measures how long that took ($8 is
-- NULL); $9 is the time before it was sent, both in microseconds.
PREPARE xtask_step (bigint, integer, text, text, integer, text, text, bigint, bigint, integer, bigint, text, text) AS
INSERT INTO migration.steps
    (run_id, number, phase, file, line, statement_hash, summary, started, duration, lock_wait, attempts, rows, outcome, error)
SELECT $1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp() - t.duration, t.duration, t.lock_wait, $10, $11, $12, $13
FROM (
    SELECT $9 * interval '1 microsecond' AS lock_wait,
           coalesce($8 * interval '1 microsecond',
               pg_catalog.clock_timestamp() - pg_catalog.statement_timestamp() + $9 * interval '1 microsecond') AS duration
) AS t
