-- The tables and columns that this transaction has dropped so far, by their oids and numbers: it still holds its locks on
-- them. Nobody else can have dropped a column since of a table that it holds ACCESS EXCLUSIVE. Only tables count that
-- were there before, as xtask.tables has them: a table that is written anew leaves a gone one behind as well.
SELECT pg_catalog.string_agg(d.what, ' ')
FROM (
    SELECT l.relation::text AS what, l.relation::text AS table_oid
    FROM pg_catalog.pg_locks AS l
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
      AND l.relation >= 16384 AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = l.relation)
    UNION ALL
    SELECT a.attrelid || '.' || a.attnum, a.attrelid::text
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = l.relation
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
      AND l.relation >= 16384 AND a.attisdropped
      AND pg_catalog.age(a.xmin) <= pg_catalog.age(pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid)
) AS d
WHERE d.table_oid = ANY (pg_catalog.string_to_array(pg_catalog.current_setting('xtask.tables', true), ' '))
   OR pg_catalog.current_setting('xtask.tables', true) IS NULL
