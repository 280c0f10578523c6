-- What the newest run left on record, which transaction wrote that, and which transactions are under way. Called while
-- the mutex is held.
SELECT r.outcome, r.expected_hash, r.fingerprint, r.settled, r.xmin AS written, pg_catalog.pg_current_snapshot() AS snapshot
FROM migration.runs AS r ORDER BY r.id DESC LIMIT 1
