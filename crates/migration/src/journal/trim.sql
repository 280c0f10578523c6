-- Forgets runs with their steps: all but the newest $1, and those older than $2 days. It keeps the newest 20; what others
-- need: the run that newest.sql takes the version from, and the newest that knows the database since it was empty;
-- rollbacks and the runs that they took back; runs that set rows aside (where none did, there is no such table, and an
-- empty one is named in its place).
WITH kept AS (
    SELECT (SELECT r.id FROM migration.runs AS r ORDER BY r.id DESC OFFSET 19 LIMIT 1) AS recent,
           (SELECT r.id FROM migration.runs AS r ORDER BY r.id DESC OFFSET greatest($1, 1) - 1 LIMIT 1) AS counted,
           (SELECT pg_catalog.max(r.id) FROM migration.runs AS r WHERE r.since_empty) AS since_empty,
           (SELECT pg_catalog.max(r.id) FROM migration.runs AS r
            WHERE r.version IS NOT NULL AND NOT EXISTS (
                SELECT FROM migration.runs AS u JOIN migration.runs AS x ON x.id = ANY (u.undoes)
                WHERE u.id > r.id AND u.undoes <> '{}' AND u.outcome = 'succeeded' AND x.version = r.version)) AS versioned
), trimmed AS (
    DELETE FROM migration.runs AS t
    USING kept
    WHERE t.id < kept.recent
      AND (t.id < kept.counted OR t.started < pg_catalog.clock_timestamp() - pg_catalog.make_interval(days => $2))
      AND t.id IS DISTINCT FROM kept.since_empty AND t.id IS DISTINCT FROM kept.versioned
      AND t.undoes = '{}'
      AND NOT EXISTS (SELECT FROM migration.runs AS u WHERE u.undoes <> '{}' AND t.id = ANY (u.undoes))
      AND NOT EXISTS (SELECT FROM quarantine AS q WHERE q.run_id = t.id)
    RETURNING t.id
)
DELETE FROM migration.steps AS s
USING trimmed
WHERE s.run_id = trimmed.id
