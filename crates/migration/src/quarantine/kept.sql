-- What rollbacks kept of tables and columns that they dropped, and that are there again: by run and table.
SELECT q.run_id, q.table_name
FROM migration.quarantine AS q JOIN migration.runs AS r ON r.id = q.run_id
WHERE r.undoes <> '{}' AND q.restored IS NULL AND pg_catalog.to_regclass(q.table_name) IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM pg_catalog.unnest(q.set_columns) AS c (name)
      WHERE NOT EXISTS (
          SELECT FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = pg_catalog.to_regclass(q.table_name) AND a.attname = c.name AND NOT a.attisdropped))
GROUP BY q.run_id, q.table_name
ORDER BY q.run_id DESC, q.table_name
