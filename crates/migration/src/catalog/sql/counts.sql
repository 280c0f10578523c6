-- What transactions have written: the number of the next one, and of each system catalog the rows that were put in or
-- changed, and those that were taken out.
SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.xid, c.oid,
       pg_catalog.pg_stat_get_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_tuples_updated(c.oid),
       pg_catalog.pg_stat_get_tuples_deleted(c.oid)
FROM pg_catalog.unnest('{}'::pg_catalog.oid[]) AS c (oid)
