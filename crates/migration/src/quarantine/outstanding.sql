-- Rows that were not put back yet, by what one statement can put back: the newest first, since later ones were changed
-- after earlier ones.
SELECT q.run_id, q.place, q.table_name, q.reason, q.row_after IS NOT NULL AS stayed, s.columns,
       pg_catalog.array_agg(q.id ORDER BY q.id DESC) AS ids
FROM migration.quarantine AS q
CROSS JOIN LATERAL (
    SELECT CASE WHEN q.row_after IS NULL
        THEN ARRAY(SELECT pg_catalog.jsonb_object_keys(q.row_data))
        ELSE coalesce(q.set_columns, '{}') END AS columns
) AS s
WHERE q.restored IS NULL AND {filter}
GROUP BY q.run_id, q.place, q.table_name, q.reason, q.row_after IS NOT NULL, s.columns
ORDER BY pg_catalog.max(q.id) DESC
