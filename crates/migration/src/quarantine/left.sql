-- Those of the entries $1 that were not put back, and whether their row is there.
SELECT q.id, EXISTS (
    SELECT FROM {table} AS t, pg_catalog.jsonb_populate_record(NULL::{table}, q.row_after) AS a WHERE {same_row}) AS is_there
FROM migration.quarantine AS q
WHERE q.id = ANY ($1) AND q.restored IS NULL
