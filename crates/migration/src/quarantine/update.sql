-- Gives the columns of rows that stayed in their table their earlier values, for the entries $1 and $2; only where the row
-- is there, and its columns are as the clean-up set them.
WITH given AS MATERIALIZED (
    SELECT q.id, q.row_data, q.row_after FROM migration.quarantine AS q WHERE q.id = ANY ($1) AND q.restored IS NULL
), put AS (
    UPDATE {table} AS t SET {assigned}
    FROM given AS g
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::{table}, g.row_data) AS r
    CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::{table}, g.row_after) AS a
    WHERE {same_row} AND {unchanged}
    RETURNING g.id
), marked AS (
    UPDATE migration.quarantine AS q SET restored = pg_catalog.clock_timestamp(), restored_by = $2
    FROM put WHERE q.id = put.id
    RETURNING 1
)
SELECT (SELECT pg_catalog.count(*) FROM marked)
