-- What the newest run left on record. Called while the mutex is held.
-- "unwritten": no transaction of the whole cluster has written anything since that run looked at the catalog. No
-- transaction is under way, the next one's number follows that of the run's own last record (its xmin), and nobody
-- came between the look and that record ("settled").
SELECT newest.outcome, newest.expected_hash, newest.fingerprint,
       coalesce(newest.settled AND clock.oldest = clock.next
                AND (newest.written + 1) % 4294967296 = clock.next % 4294967296, false) AS unwritten,
       clock.next AS next_transaction
FROM (
    SELECT pg_catalog.pg_snapshot_xmin(s.snapshot)::text::bigint AS oldest,
           pg_catalog.pg_snapshot_xmax(s.snapshot)::text::bigint AS next
    FROM (SELECT pg_catalog.pg_current_snapshot() AS snapshot) AS s
) AS clock
LEFT JOIN (
    SELECT r.outcome, r.expected_hash, r.fingerprint, r.settled, r.xmin::text::bigint AS written
    FROM migration.runs AS r ORDER BY r.id DESC LIMIT 1
) AS newest ON true
