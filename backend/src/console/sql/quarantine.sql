-- What is set aside, without the rows.
SELECT q.run_id, q.place, q.table_name, q.reason, q.rows, q.restored
FROM migration.set_aside AS q
ORDER BY q.run_id DESC, q.place
LIMIT 500
