-- Puts the rows $1 back into the table that they were removed from, for $2. Fails if a trigger keeps one out.
WITH given AS MATERIALIZED (
    SELECT q.id, q.row_data FROM migration.quarantine AS q WHERE q.id = ANY ($1) AND q.restored IS NULL
), put AS (
    INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE
    SELECT {values}
    FROM given AS g CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::{table}, g.row_data) AS r
    ORDER BY g.id
    RETURNING 1
), marked AS (
    UPDATE migration.quarantine AS q SET restored = pg_catalog.clock_timestamp(), restored_by = $2
    FROM given AS g WHERE q.id = g.id
    RETURNING 1
)
SELECT c.marked, CASE WHEN c.put <> c.marked THEN ('xtask kept out ' || c.marked - c.put)::pg_catalog.int4 END
FROM (SELECT (SELECT pg_catalog.count(*) FROM put) AS put, (SELECT pg_catalog.count(*) FROM marked) AS marked) AS c
