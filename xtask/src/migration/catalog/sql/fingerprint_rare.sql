-- As fingerprint.sql, for the catalogs that initdb leaves empty.
SELECT pg_catalog.md5(pg_catalog.string_agg(part.text, ',' ORDER BY part.text))
FROM (
    SELECT 'pg_policy ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0) AS text
    FROM pg_catalog.pg_policy x
    UNION ALL
    SELECT 'pg_event_trigger ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_event_trigger x
    UNION ALL
    SELECT 'pg_statistic_ext ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_statistic_ext x
    UNION ALL
    SELECT 'pg_transform ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_transform x
    UNION ALL
    SELECT 'pg_foreign_data_wrapper ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_foreign_data_wrapper x
    UNION ALL
    SELECT 'pg_foreign_server ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_foreign_server x
    UNION ALL
    SELECT 'pg_publication ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_publication x
    UNION ALL
    SELECT 'pg_publication_rel ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_publication_rel x
    UNION ALL
    SELECT 'pg_publication_namespace ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_publication_namespace x
    UNION ALL
    SELECT 'pg_parameter_acl ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_parameter_acl x
    UNION ALL
    SELECT 'pg_foreign_table ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_foreign_table x
    UNION ALL
    SELECT 'pg_seclabel ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_seclabel x
    UNION ALL
    SELECT 'pg_shseclabel ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_shseclabel x
    UNION ALL
    SELECT 'pg_user_mappings ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hashtextextended(x::text, 0)), 0)
    FROM pg_catalog.pg_user_mappings x
    UNION ALL
    SELECT 'pg_subscription ' || coalesce(pg_catalog.string_agg(
        ROW(s.oid, s.subname, s.subenabled, s.subbinary, s.substream, s.subtwophasestate,
            s.subdisableonerr, s.subslotname, s.subsynccommit, s.subpublications)::text, ',' ORDER BY s.oid), '')
    FROM pg_catalog.pg_subscription s
) part
