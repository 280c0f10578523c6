-- The newest runs before $1, at most $2.
SELECT r.id, r.outcome, r.version, r.git_commit, r.os_user, r.host,
       pg_catalog.to_char(r.started AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS started,
       extract(epoch FROM r.finished - r.started)::double precision AS seconds,
       r.statements_run, r.statements_skipped,
       extract(epoch FROM r.stalled)::double precision AS stalled,
       pg_catalog.jsonb_array_length(r.changes) AS changes,
       r.undoes,
       pg_catalog.substring(r.error, 'SQLSTATE ([0-9A-Z]{5})') AS sqlstate,
       r.error IS NOT NULL AS failed
FROM migration.runs AS r
WHERE r.id < $1::bigint AND ($3::bigint IS NULL OR r.id = $3)
ORDER BY r.id DESC
LIMIT $2::bigint
