-- As fingerprint.sql, for the catalogs that initdb leaves empty.
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL synchronize_seqscans = off;
SELECT pg_catalog.count(*) || '-' || coalesce(pg_catalog.hash_array_extended(pg_catalog.array_agg(x.xmin), 0), 0) || '-' || (
           SELECT coalesce(pg_catalog.bit_xor(pg_catalog.hashtextextended(u::text, 0)), 0) FROM pg_catalog.pg_user_mappings AS u)
       || '-' || (
           SELECT pg_catalog.md5(coalesce(pg_catalog.string_agg(ROW(
               s.oid, s.subname, s.subenabled, s.subbinary, s.substream, s.subtwophasestate, s.subdisableonerr, s.subslotname,
               s.subsynccommit, s.subpublications)::text, ',' ORDER BY s.oid), ''))
           FROM pg_catalog.pg_subscription AS s) AS rows
FROM (
    SELECT xmin FROM pg_catalog.pg_policy WHERE false
    -- the rare catalogs
) AS x (xmin)
