-- Rows that were set aside, the newest first.
SELECT q.id, q.run_id, q.place, q.table_name, q.reason, q.row_data::text AS row_data, q.row_after::text AS row_after,
       q.set_columns, pg_catalog.to_jsonb(q.quarantined) #>> '{}' AS quarantined,
       pg_catalog.to_jsonb(q.restored) #>> '{}' AS restored, q.restored_by
FROM migration.quarantine AS q
WHERE {filter}
ORDER BY q.id DESC
LIMIT $5
