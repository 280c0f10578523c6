-- The newest runs, $1 at most, the newest first; only the run $2, unless that is NULL.
SELECT r.id, pg_catalog.to_jsonb(r.started) #>> '{}' AS started, pg_catalog.to_jsonb(r.finished) #>> '{}' AS finished,
       pg_catalog.round(extract(epoch FROM r.finished - r.started) * 1000)::bigint AS milliseconds, r.outcome, r.error,
       r.statements_run, r.statements_skipped, pg_catalog.jsonb_array_length(r.changes) AS changed_objects,
       r.changes_seen, r.version,
       r.tool_version, r.git_commit, r.os_user, r.host, r.database_user, r.backend_pid,
       (SELECT pg_catalog.count(*) FROM migration.once AS o WHERE o.run_id = r.id AND o.step IS NOT NULL) AS ran_once,
       (SELECT coalesce(extract(epoch FROM pg_catalog.sum(s.lock_wait)), 0)::double precision
        FROM migration.steps AS s WHERE s.run_id = r.id) AS lock_wait,
       extract(epoch FROM r.stalled)::double precision AS stalled
FROM migration.runs AS r
WHERE $2 IS NULL OR r.id = $2
ORDER BY r.id DESC
LIMIT $1
