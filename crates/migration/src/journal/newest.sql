-- What the newest run left on record, which transaction wrote that, and which transactions are under way; the version
-- of the newest run that had one, what that was made from, and who ran it; and whether the journal knows the database
-- since it was empty. Called while the mutex is held.
SELECT r.outcome, r.expected_hash, r.fingerprint, r.settled, r.xmin AS written,
       pg_catalog.pg_current_snapshot() AS snapshot, n.*,
       EXISTS (SELECT FROM migration.runs AS k WHERE k.since_empty) AS since_empty, r.undoes <> '{}' AS took_back
FROM (SELECT r.*, r.xmin FROM migration.runs AS r ORDER BY r.id DESC LIMIT 1) AS r
LEFT JOIN (
    SELECT r.version, pg_catalog.array_to_string(v.lineage, ' ') AS lineage, r.id AS version_run,
           pg_catalog.concat_ws('@', coalesce(r.os_user, r.database_user), r.host) AS version_by,
           pg_catalog.to_char(r.started, 'YYYY-MM-DD HH24:MI TZ') AS version_at
    FROM migration.runs AS r JOIN migration.versions AS v USING (version)
    -- One that was taken back is not what the database is at.
    WHERE NOT EXISTS (
        SELECT FROM migration.runs AS u JOIN migration.runs AS x ON x.id = ANY (u.undoes)
        WHERE u.id > r.id AND u.undoes <> '{}' AND u.outcome = 'succeeded' AND x.version = r.version)
    ORDER BY r.id DESC LIMIT 1) AS n ON true
