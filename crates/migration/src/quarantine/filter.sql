-- Which rows are meant: of the run $1, the table $2 (with its schema or without), the place $3, the numbers $4; NULL: any.
($1::bigint IS NULL OR q.run_id = $1)
AND ($2::text IS NULL OR q.table_name = $2 OR pg_catalog.right(q.table_name, pg_catalog.length($2) + 1) = '.' || $2)
AND ($3::text IS NULL OR q.place = $3)
AND ($4::bigint[] IS NULL OR q.id = ANY ($4))
