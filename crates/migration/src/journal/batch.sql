-- Records the steps of one message, which is one transaction: $1 the run, $2 the steps as rows of VALUES. After each
-- statement the message has set xtask.tN to the time.
SET LOCAL SESSION AUTHORIZATION DEFAULT;
SET LOCAL role TO DEFAULT;
INSERT INTO migration.steps
    (run_id, number, phase, file, line, statement_hash, summary, started, duration, lock_wait, attempts, rows, outcome)
SELECT $1, v.number, v.phase, v.file, v.line, v.hash, v.summary, t.started, t.ended - t.started, interval '0', 1, 0, 'done'
FROM (VALUES $2) AS v (ahead, number, phase, file, line, hash, summary)
CROSS JOIN LATERAL (
    SELECT coalesce(nullif(pg_catalog.current_setting('xtask.t' || (v.ahead - 1), true), '')::timestamptz,
                    pg_catalog.statement_timestamp()) AS started,
           pg_catalog.current_setting('xtask.t' || v.ahead)::timestamptz AS ended
) AS t
ORDER BY v.number
RETURNING extract(epoch FROM duration)::double precision AS xtask_seconds
