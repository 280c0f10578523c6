-- The sequences that columns of the table $1 take their values from, each with the column.
SELECT pg_catalog.pg_get_serial_sequence($1, a.attname) AS sequence, pg_catalog.quote_ident(a.attname) AS column_name
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
  AND pg_catalog.pg_get_serial_sequence($1, a.attname) IS NOT NULL
