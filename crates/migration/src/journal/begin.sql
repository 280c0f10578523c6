-- Records a run, and names the session after it. Called while the mutex is held: whatever is on record as running
-- cannot be.
WITH died AS (
    UPDATE migration.runs AS r
    SET outcome = 'died',
        statements_run = (
            SELECT pg_catalog.count(*) FROM migration.steps AS s
            WHERE s.run_id = r.id AND s.outcome IN ('done', 'warning')),
        error = 'the process ended without a word (killed, or its connection was lost)'
    WHERE outcome = 'running'
    RETURNING id
), version AS (
    INSERT INTO migration.versions (version, lineage)
    SELECT $5, $6::text[] WHERE $5 IS NOT NULL
    ON CONFLICT (version) DO NOTHING
), run AS (
    INSERT INTO migration.runs (tool_version, git_commit, os_user, host, version, since_empty, changes)
    VALUES ($1, $2, $3, $4, $5, $7, $8::text::jsonb)
    RETURNING id
)
SELECT run.id,
       pg_catalog.set_config(
           'application_name', pg_catalog.current_setting('application_name') || ' run ' || run.id, false),
       coalesce((SELECT pg_catalog.array_agg(died.id) FROM died), '{}') AS died
FROM run
