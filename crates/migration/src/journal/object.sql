-- The runs that changed the object of the kind $1 and the name $2, the newest first, $3 at most.
SELECT r.id, pg_catalog.to_jsonb(r.started) #>> '{}' AS started, r.outcome, r.version, r.git_commit, r.changes_seen, c.before, c.after
FROM migration.runs AS r
CROSS JOIN LATERAL pg_catalog.jsonb_to_recordset(r.changes) AS c (kind text, identity text, before text, after text)
WHERE c.kind = $1 AND c.identity = $2
ORDER BY r.id DESC
LIMIT $3
