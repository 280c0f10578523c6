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
       (pg_catalog.pg_relation_size('pg_catalog.pg_policy') +
        pg_catalog.pg_relation_size('pg_catalog.pg_event_trigger') +
        pg_catalog.pg_relation_size('pg_catalog.pg_statistic_ext') +
        pg_catalog.pg_relation_size('pg_catalog.pg_transform') +
        pg_catalog.pg_relation_size('pg_catalog.pg_foreign_data_wrapper') +
        pg_catalog.pg_relation_size('pg_catalog.pg_foreign_server') +
        pg_catalog.pg_relation_size('pg_catalog.pg_foreign_table') +
        pg_catalog.pg_relation_size('pg_catalog.pg_publication') +
        pg_catalog.pg_relation_size('pg_catalog.pg_publication_rel') +
        pg_catalog.pg_relation_size('pg_catalog.pg_publication_namespace') +
        pg_catalog.pg_relation_size('pg_catalog.pg_parameter_acl') +
        pg_catalog.pg_relation_size('pg_catalog.pg_seclabel') +
        pg_catalog.pg_relation_size('pg_catalog.pg_shseclabel') +
        pg_catalog.pg_relation_size('pg_catalog.pg_user_mapping') +
        pg_catalog.pg_relation_size('pg_catalog.pg_subscription')) > 0 AS rare
FROM (
    SELECT xmin FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    UNION ALL SELECT xmin FROM pg_catalog.pg_class
    UNION ALL SELECT xmin FROM pg_catalog.pg_attribute
    UNION ALL SELECT xmin FROM pg_catalog.pg_type
    UNION ALL SELECT xmin FROM pg_catalog.pg_proc
    UNION ALL SELECT xmin FROM pg_catalog.pg_attrdef
    UNION ALL SELECT xmin FROM pg_catalog.pg_constraint
    UNION ALL SELECT xmin FROM pg_catalog.pg_index
    UNION ALL SELECT xmin FROM pg_catalog.pg_inherits
    UNION ALL SELECT xmin FROM pg_catalog.pg_sequence
    UNION ALL SELECT xmin FROM pg_catalog.pg_trigger
    UNION ALL SELECT xmin FROM pg_catalog.pg_rewrite
    UNION ALL SELECT xmin FROM pg_catalog.pg_enum
    UNION ALL SELECT xmin FROM pg_catalog.pg_range
    UNION ALL SELECT xmin FROM pg_catalog.pg_namespace
    UNION ALL SELECT xmin FROM pg_catalog.pg_extension
    UNION ALL SELECT xmin FROM pg_catalog.pg_operator
    UNION ALL SELECT xmin FROM pg_catalog.pg_opclass
    UNION ALL SELECT xmin FROM pg_catalog.pg_opfamily
    UNION ALL SELECT xmin FROM pg_catalog.pg_amop
    UNION ALL SELECT xmin FROM pg_catalog.pg_amproc
    UNION ALL SELECT xmin FROM pg_catalog.pg_aggregate
    UNION ALL SELECT xmin FROM pg_catalog.pg_cast
    UNION ALL SELECT xmin FROM pg_catalog.pg_collation
    UNION ALL SELECT xmin FROM pg_catalog.pg_conversion
    UNION ALL SELECT xmin FROM pg_catalog.pg_language
    UNION ALL SELECT xmin FROM pg_catalog.pg_am
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_template
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_config
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_config_map
    UNION ALL SELECT xmin FROM pg_catalog.pg_tablespace
    UNION ALL SELECT xmin FROM pg_catalog.pg_depend
    UNION ALL SELECT xmin FROM pg_catalog.pg_description
    UNION ALL SELECT xmin FROM pg_catalog.pg_shdescription
    UNION ALL SELECT xmin FROM pg_catalog.pg_init_privs
    UNION ALL SELECT xmin FROM pg_catalog.pg_default_acl
    UNION ALL SELECT xmin FROM pg_catalog.pg_auth_members
    UNION ALL SELECT xmin FROM pg_catalog.pg_db_role_setting
) AS x (xmin)
