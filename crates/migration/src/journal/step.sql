-- Records a step, as the role that migrates, whatever the phases have set. Where it follows its statement in the same
-- transaction, the server measures how long that took ($8 is NULL): since the message came in, or since the record before
-- in the same message. $9 is the time before it was sent, both in microseconds.
SET LOCAL SESSION AUTHORIZATION DEFAULT;
SET LOCAL role TO DEFAULT;
INSERT INTO migration.steps
    (run_id, number, phase, file, line, statement_hash, summary, started, duration, lock_wait, attempts, rows, outcome,
     error, note)
SELECT $1, $2, $3, $4, $5, $6, $7, pg_catalog.clock_timestamp() - t.duration, t.duration, t.lock_wait, $10, $11, $12, $13,
       $14
FROM (
    SELECT $9::bigint * interval '1 microsecond' AS lock_wait,
           coalesce($8::bigint * interval '1 microsecond',
               pg_catalog.clock_timestamp() - greatest(pg_catalog.statement_timestamp(), pg_catalog.to_timestamp(
                   nullif(pg_catalog.current_setting('xtask.recorded', true), '')::double precision))
               + $9::bigint * interval '1 microsecond') AS duration
) AS t
RETURNING extract(epoch FROM duration)::double precision AS xtask_seconds,
          pg_catalog.set_config('xtask.recorded', extract(epoch FROM pg_catalog.clock_timestamp())::text, false)
