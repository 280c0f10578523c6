-- Tells whether a catalog may have changed. Each version of a row bears the transaction that wrote it (xmin), and no
-- transaction writes twice under one number: whatever is added, changed or removed changes the list of these numbers.
-- Whole lists, without conditions: the planner then has no more to do than open the catalogs, which is what takes the
-- time. What may not be read so (roles) is hashed by its content.
-- What is asked besides: who reads, since the answer of the catalog's query depends on it; whether any transaction is
-- under way, and if none is, the number of the next one; and whether there is anything in the catalogs that initdb
-- leaves empty and fingerprint_rare.sql reads: asking for their size takes no plan.
-- In one order each time: several workers, or a scan that begins in the middle, would give another.
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL synchronize_seqscans = off;
SELECT pg_catalog.count(*) || '-' || pg_catalog.hash_array_extended(pg_catalog.array_agg(x.xmin), 0) || '-' || (
           SELECT pg_catalog.bit_xor(pg_catalog.hashtextextended(ROW(
               r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
               r.rolreplication, r.rolconnlimit, r.rolvaliduntil, r.rolbypassrls)::text, 0))
           FROM pg_catalog.pg_roles AS r) AS rows,
       pg_catalog.current_setting('server_version_num') AS version, current_user AS reader,
       CASE WHEN pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
               = pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())
           THEN pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()) END AS next_transaction,
       (-- the sizes of rare catalogs
       ) > 0 AS rare
FROM (
    SELECT xmin FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    -- the other catalogs
) AS x (xmin)
