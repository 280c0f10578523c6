SELECT EXISTS (SELECT FROM migration.runs AS r WHERE r.outcome::text = 'succeeded'),
       last.id,
       last.outcome,
       last.tool_version,
       last.git_commit,
       last.started,
       last.finished
  FROM (SELECT) AS always_one_row
  LEFT JOIN LATERAL (
       SELECT r.id::bigint,
              r.outcome::text,
              r.tool_version::text,
              r.git_commit::text,
              to_char(r.started, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS started,
              to_char(r.finished, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS finished
         FROM migration.runs AS r
        ORDER BY r.id DESC
        LIMIT 1) AS last ON true
