-- Size in bytes and estimated rows of the tables $1; those that are not there are left out. Asking for a size waits for
-- whoever keeps readers out: of such a table it is estimated, too.
SELECT t.name, greatest(c.reltuples, 0)::bigint AS rows,
       CASE WHEN EXISTS (
           SELECT FROM pg_catalog.pg_locks AS l
           WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
             AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
       THEN c.relpages * pg_catalog.current_setting('block_size')::bigint
       ELSE pg_catalog.pg_total_relation_size(c.oid) END AS bytes
FROM pg_catalog.unnest($1::text[]) AS t (name)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(t.name)
