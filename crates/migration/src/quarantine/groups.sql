-- What was set aside, by run and statement, the newest first.
SELECT q.run_id, q.place, q.table_name, q.reason, pg_catalog.count(*) AS rows,
       pg_catalog.count(q.restored) AS restored, pg_catalog.bool_and(q.row_after IS NOT NULL) AS stayed,
       pg_catalog.to_jsonb(pg_catalog.min(q.quarantined)) #>> '{}' AS first,
       pg_catalog.to_jsonb(pg_catalog.max(q.quarantined)) #>> '{}' AS last
FROM migration.quarantine AS q
WHERE {filter}
GROUP BY q.run_id, q.place, q.table_name, q.reason
ORDER BY pg_catalog.max(q.id) DESC
