-- Which of the relations and columns $1, named by their oids and numbers as dropped.sql does, can hold values that would
-- be lost: tables, and columns of tables that stay.
SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS table_name,
       pg_catalog.quote_ident(a.attname) AS column_name
FROM pg_catalog.unnest($1) AS d (what)
JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.split_part(d.what, '.', 1)::pg_catalog.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = c.oid AND a.attnum = nullif(pg_catalog.split_part(d.what, '.', 2), '')::smallint
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  -- A column that is not there was made by the transaction itself.
  AND (a.attname IS NOT NULL OR d.what NOT LIKE '%.%')
