-- Each row of a catalog changes its xmin whenever it changes, so a hash over where and when the rows
-- were written tells whether anything changed. What may not be read so is hashed by its content.
-- Rows of initdb are left out where the catalog's query does not read them. The second column tells
-- whether there is anything in the catalogs that initdb leaves empty and fingerprint_rare.sql reads:
-- asking for their size takes no plan.
SELECT pg_catalog.md5(pg_catalog.string_agg(part.text, ',' ORDER BY part.text)),
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
       pg_catalog.pg_relation_size('pg_catalog.pg_subscription')) > 0
FROM (
    SELECT 'server ' || pg_catalog.current_setting('server_version_num') || ' ' || current_user AS text
    UNION ALL
    SELECT 'pg_class ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_class x
    WHERE x.oid >= 16384 OR x.relacl IS NOT NULL
    UNION ALL
    SELECT 'pg_type ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_type x
    WHERE x.oid >= 16384 OR x.typacl IS NOT NULL
    UNION ALL
    SELECT 'pg_proc ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_proc x
    WHERE x.oid >= 16384 OR x.proacl IS NOT NULL
    UNION ALL
    SELECT 'pg_attrdef ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_attrdef x
    UNION ALL
    SELECT 'pg_constraint ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_constraint x
    UNION ALL
    SELECT 'pg_trigger ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_trigger x
    UNION ALL
    SELECT 'pg_rewrite ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_rewrite x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_namespace ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_namespace x
    UNION ALL
    SELECT 'pg_extension ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_extension x
    UNION ALL
    SELECT 'pg_enum ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_enum x
    UNION ALL
    SELECT 'pg_operator ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_operator x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_opclass ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_opclass x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_opfamily ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_opfamily x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_amop ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_amop x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_amproc ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_amproc x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_cast ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_cast x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_collation ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_collation x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_conversion ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_conversion x
    WHERE x.oid >= 16384
    UNION ALL
    SELECT 'pg_language ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_language x
    UNION ALL
    SELECT 'pg_am ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_am x
    UNION ALL
    SELECT 'pg_ts_parser ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_ts_parser x
    UNION ALL
    SELECT 'pg_ts_template ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_ts_template x
    UNION ALL
    SELECT 'pg_ts_dict ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_ts_dict x
    UNION ALL
    SELECT 'pg_ts_config ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_ts_config x
    UNION ALL
    SELECT 'pg_tablespace ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_tablespace x
    UNION ALL
    SELECT 'pg_database ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_database x
    WHERE x.datname = pg_catalog.current_database()
    UNION ALL
    SELECT 'pg_attribute ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_attribute x
    WHERE x.attrelid >= 16384 OR x.attacl IS NOT NULL
    UNION ALL
    SELECT 'pg_index ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_index x
    WHERE x.indexrelid >= 16384
    UNION ALL
    SELECT 'pg_inherits ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_inherits x
    UNION ALL
    SELECT 'pg_sequence ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_sequence x
    UNION ALL
    SELECT 'pg_range ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_range x
    WHERE x.rngtypid >= 16384
    UNION ALL
    SELECT 'pg_aggregate ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_aggregate x
    WHERE x.aggfnoid >= 16384::pg_catalog.regproc
    UNION ALL
    SELECT 'pg_ts_config_map ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_ts_config_map x
    WHERE x.mapcfg >= 16384
    UNION ALL
    SELECT 'pg_depend ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_depend x
    UNION ALL
    SELECT 'pg_description ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_description x
    WHERE x.objoid >= 16384 OR x.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
    UNION ALL
    SELECT 'pg_shdescription ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_shdescription x
    UNION ALL
    SELECT 'pg_init_privs ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_init_privs x
    UNION ALL
    SELECT 'pg_auth_members ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_auth_members x
    UNION ALL
    SELECT 'pg_db_role_setting ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.ctid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_db_role_setting x
    UNION ALL
    SELECT 'pg_roles ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hashtextextended(x::text, 0)), 0)
    FROM pg_catalog.pg_roles x
    UNION ALL
    SELECT 'pg_default_acl ' || pg_catalog.count(*) || ' ' || coalesce(pg_catalog.bit_xor(pg_catalog.hash_record_extended(ROW(x.oid, x.xmin), 0)), 0)
    FROM pg_catalog.pg_default_acl x
) part
