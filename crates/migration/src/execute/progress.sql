-- How far the session $1 has come with building an index.
SELECT p.phase || CASE WHEN p.blocks_total > 0 THEN ' ' || 100 * p.blocks_done / p.blocks_total || ' %' ELSE '' END AS progress
FROM pg_catalog.pg_stat_progress_create_index AS p
WHERE p.pid = $1
