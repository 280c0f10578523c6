-- Tables and views by their oids $1, and the files that they are in, as they were before the transaction that holds locks
-- on them.
SELECT c.oid, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name, c.relfilenode AS file,
       c.relpersistence = 't' AS temporary
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1) AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
  AND n.nspname NOT IN ('information_schema', 'migration') AND n.nspname !~ '^pg_(catalog|toast)'
