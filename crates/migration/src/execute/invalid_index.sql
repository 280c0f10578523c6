-- An index of the name $1 on the table $2 (both as written in SQL) that a failed build has left, and
-- whether somebody else is at work on the table that might still finish it.
SELECT i.indexrelid::pg_catalog.regclass::text AS index,
       EXISTS (
           SELECT FROM pg_catalog.pg_locks AS l
           WHERE l.locktype = 'relation' AND l.relation = i.indrelid AND l.granted
             AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
             AND l.mode = 'ShareUpdateExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid()
       ) AS busy
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = pg_catalog.to_regclass($2) AND c.relname = (pg_catalog.parse_ident($1))[1]
  AND NOT (i.indisvalid AND i.indisready)
