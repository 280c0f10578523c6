-- Records a run, and tells of the newest one before it. Called while the mutex is held: whatever is on
-- record as running cannot be.
WITH died AS (
    UPDATE migration.runs
    SET outcome = 'died', error = 'the process ended without a word (killed, or its connection was lost)'
    WHERE outcome = 'running'
    RETURNING id
), run AS (
    INSERT INTO migration.runs (tool_version, git_commit, os_user, host)
    VALUES ($1, $2, $3, $4)
    RETURNING id
)
SELECT run.id,
       pg_catalog.set_config('application_name', 'xtask migrate run ' || run.id, false),
       coalesce((SELECT pg_catalog.array_agg(died.id) FROM died), '{}') AS died,
       newest.outcome, newest.expected_hash, newest.fingerprint,
       EXISTS (SELECT FROM migration.runs AS r WHERE r.outcome = 'succeeded' AND r.expected_hash = $5) AS seeded
FROM run
LEFT JOIN (SELECT r.outcome, r.expected_hash, r.fingerprint FROM migration.runs AS r ORDER BY r.id DESC LIMIT 1) AS newest
  ON true
