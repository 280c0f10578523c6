-- What the transaction has written: its number, and the system catalogs with whether rows of them were taken out.
SELECT pg_catalog.pg_current_xact_id_if_assigned()::pg_catalog.xid, c.oid,
       pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0
FROM pg_catalog.unnest('{}'::pg_catalog.oid[]) AS c (oid)
WHERE c.oid = 0 OR pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) + pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)
    + pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) > 0
