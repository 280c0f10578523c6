-- The tables of this database that bear the name of a version table, with their columns: in the order of the names in
-- $1, those of schema public first.
SELECT c.relname::text AS name,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS identity,
       pg_catalog.array_agg(a.attname::text) AS columns
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p')
  AND c.relname = ANY ($1::text[])
  AND n.nspname !~ '^pg_'
  AND n.nspname <> 'information_schema'
GROUP BY n.nspname, c.relname
ORDER BY pg_catalog.array_position($1, c.relname::text), n.nspname <> 'public', n.nspname
