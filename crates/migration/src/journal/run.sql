-- One run with its steps and what it changed, as one JSON document.
SELECT (pg_catalog.to_jsonb(run) || pg_catalog.jsonb_build_object('steps', coalesce((
    SELECT pg_catalog.jsonb_agg(step ORDER BY step.number)
    FROM (
        SELECT number, phase, file, line, statement_hash, summary, started,
               extract(epoch FROM duration)::double precision * 1000 AS milliseconds,
               extract(epoch FROM lock_wait)::double precision * 1000 AS lock_wait_milliseconds,
               attempts, rows, outcome, error, note
        FROM migration.steps
        WHERE run_id = $1
    ) AS step), '[]')))::text
FROM (
    SELECT id, started, finished, round(extract(epoch FROM finished - started) * 1000)::bigint AS milliseconds,
           outcome, error, statements_run, statements_skipped, changes,
           tool_version, git_commit, database_user, os_user, host, backend_pid
    FROM migration.runs
    WHERE id = $1
) AS run
