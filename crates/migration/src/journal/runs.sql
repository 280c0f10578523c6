-- One JSON document a run, the newest first.
SELECT pg_catalog.to_jsonb(run)::text
FROM (
    SELECT id, started, finished, round(extract(epoch FROM finished - started) * 1000)::bigint AS milliseconds,
           outcome, error, statements_run, statements_skipped, pg_catalog.jsonb_array_length(changes) AS changed_objects,
           tool_version, git_commit, database_user, os_user, host, backend_pid
    FROM migration.runs
    ORDER BY id DESC
    LIMIT $1
) AS run
