-- Whether this transaction may have written to a system catalog. Without a number it has written nothing; with one, as ADD
-- COLUMN IF NOT EXISTS takes one for its lock alone, the rows are counted, unless somebody switched that off. What is
-- deferred to the end comes first: a trigger may write there as well.
SET CONSTRAINTS ALL IMMEDIATE;
SELECT CASE
    WHEN pg_catalog.pg_current_xact_id_if_assigned() IS NULL THEN false
    WHEN pg_catalog.current_setting('track_counts') <> 'on' THEN true
    ELSE EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        WHERE c.oid < 16384 AND c.relkind = 'r'
          AND pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
              + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0)
    END AS wrote;
COMMIT
