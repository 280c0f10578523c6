-- Records a run that found the database as the newest run left it, and names the session after it. The statements
-- that look for rows to change follow in the same transaction.
INSERT INTO migration.runs
    (tool_version, git_commit, os_user, host, finished, outcome, statements_skipped, expected_hash, fingerprint, settled,
     started, version, since_empty, changes_seen)
VALUES
    ($1, $2, $3, $4, pg_catalog.clock_timestamp(), 'succeeded', $5::integer, $6, $7,
     coalesce(pg_catalog.pg_current_xact_id() = $8::pg_catalog.xid8, false),
     pg_catalog.clock_timestamp() - $9 * interval '1 microsecond', $6, true, true)
RETURNING id, pg_catalog.set_config(
    'application_name', pg_catalog.current_setting('application_name') || ' run ' || id, false)
