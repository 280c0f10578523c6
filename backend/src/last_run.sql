-- Whether a migration has succeeded; the newest run; and for the metrics the newest one that has ended, as one that is
-- under way tells nothing yet.
SELECT EXISTS (SELECT FROM migration.runs AS r WHERE r.outcome::text = 'succeeded'),
       last.id,
       last.outcome,
       last.tool_version,
       last.git_commit,
       last.started,
       last.finished,
       ended.duration,
       ended.succeeded,
       ended.converged,
       ended.statements,
       ended.age
  FROM (SELECT) AS always_one_row
  LEFT JOIN LATERAL (
       SELECT r.id::bigint,
              r.outcome::text,
              r.tool_version::text,
              r.git_commit::text,
              pg_catalog.to_char(r.started, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS started,
              pg_catalog.to_char(r.finished, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS finished
         FROM migration.runs AS r
        ORDER BY r.id DESC
        LIMIT 1) AS last ON true
  LEFT JOIN LATERAL (
       SELECT extract(epoch FROM r.finished - r.started)::double precision AS duration,
              r.outcome::text = 'succeeded' AS succeeded,
              r.expected_hash IS NOT NULL AS converged,
              r.statements_run::double precision AS statements,
              extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(r.finished, r.started))::double precision AS age
         FROM migration.runs AS r
        WHERE r.outcome::text <> 'running'
        ORDER BY r.id DESC
        LIMIT 1) AS ended ON true
