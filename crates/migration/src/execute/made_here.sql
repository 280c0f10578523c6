-- Whether the table $1 was made by one of the statements with the hashes $2, in a run of this version $3: the step was
-- recorded in the transaction that made the table's first row of pg_attribute, which nothing changes later.
SELECT EXISTS (
    SELECT FROM migration.steps AS s
    JOIN migration.runs AS r ON r.id = s.run_id
    JOIN pg_catalog.pg_attribute AS a ON a.xmin = s.xmin
    WHERE s.statement_hash = ANY ($2) AND s.outcome = 'done' AND r.version = $3
      AND a.attrelid = pg_catalog.to_regclass($1) AND a.attnum = -1)
