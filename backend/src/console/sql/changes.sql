-- What the run $1 changed.
SELECT c.kind, c.identity, c.before, c.after
FROM migration.runs AS r
CROSS JOIN LATERAL ROWS FROM (
    pg_catalog.jsonb_to_recordset(r.changes) AS (kind text, identity text, before text, after text)
) WITH ORDINALITY AS c (kind, identity, before, after, number)
WHERE r.id = $1
ORDER BY c.number
LIMIT 500
