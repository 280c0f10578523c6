-- The columns of the table $1, none if it is not there: which are computed, and which make up the primary key.
SELECT a.attname::text AS name, a.attgenerated <> '' AS computed, i.indexrelid IS NOT NULL AS is_key
FROM pg_catalog.pg_attribute AS a
LEFT JOIN pg_catalog.pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)
WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
