-- What rollbacks kept of tables and columns that they dropped, and that are there again: by run and table. $1: rows of a
-- table only if it has all their columns, which are the same for all rows that one rollback kept of it.
SELECT DISTINCT g.run_id, g.table_name
FROM (
    SELECT q.run_id, q.table_name, q.set_columns, pg_catalog.min(q.id) AS first
    FROM migration.quarantine AS q JOIN migration.runs AS r ON r.id = q.run_id
    WHERE r.undoes <> '{}' AND q.restored IS NULL
    GROUP BY q.run_id, q.table_name, q.set_columns
) AS g
JOIN migration.quarantine AS q ON q.id = g.first
WHERE pg_catalog.to_regclass(g.table_name) IS NOT NULL
  AND NOT EXISTS (
      SELECT FROM pg_catalog.unnest(
          CASE WHEN g.set_columns IS NOT NULL THEN g.set_columns
               WHEN $1 THEN ARRAY(SELECT pg_catalog.jsonb_object_keys(q.row_data)) END) AS c (name)
      WHERE NOT EXISTS (
          SELECT FROM pg_catalog.pg_attribute AS a
          WHERE a.attrelid = pg_catalog.to_regclass(g.table_name) AND a.attname = c.name AND NOT a.attisdropped))
ORDER BY g.run_id DESC, g.table_name
