-- What was written since the transaction numbered $1 was the next one: how many rows the catalogs have, and of each new
-- one the catalog, its oid (of a dependency, the dependent object's) and what it belongs to: a relation; of an array type
-- the type of its elements; of a dependency the catalog of the dependent object. Each catalog that the catalog's query
-- reads; only a superuser may read some of them. The relation behind a composite type is told apart: it is none that has
-- objects of its own.
SELECT pg_catalog.count(*) AS rows, pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text AS next,
       coalesce(pg_catalog.array_agg(x.catalog || ' ' || x.own || ' ' || x.belongs)
           FILTER (WHERE pg_catalog.age(x.xmin) <= (SELECT pg_catalog.age(($1::text)::pg_catalog.xid))), '{}') AS new
FROM (
    SELECT xmin, 'pg_database', 0::oid, 0::oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
    UNION ALL SELECT xmin, CASE relkind WHEN 'c' THEN 'composite' ELSE 'pg_class' END, oid, 0 FROM pg_catalog.pg_class
    UNION ALL SELECT xmin, 'pg_constraint', oid, conrelid FROM pg_catalog.pg_constraint
    UNION ALL SELECT xmin, 'pg_attrdef', oid, adrelid FROM pg_catalog.pg_attrdef
    UNION ALL SELECT xmin, 'pg_type', oid, CASE WHEN typrelid <> 0 THEN typrelid ELSE typelem END FROM pg_catalog.pg_type
    UNION ALL SELECT xmin, 'pg_attribute', 0, attrelid FROM pg_catalog.pg_attribute
    UNION ALL SELECT xmin, 'pg_index', 0, indexrelid FROM pg_catalog.pg_index
    UNION ALL SELECT xmin, 'pg_sequence', 0, seqrelid FROM pg_catalog.pg_sequence
    UNION ALL SELECT xmin, 'pg_depend', objid, classid FROM pg_catalog.pg_depend
    UNION ALL SELECT xmin, 'pg_proc', 0, 0 FROM pg_catalog.pg_proc
    UNION ALL SELECT xmin, 'pg_inherits', 0, 0 FROM pg_catalog.pg_inherits
    UNION ALL SELECT xmin, 'pg_trigger', 0, 0 FROM pg_catalog.pg_trigger
    UNION ALL SELECT xmin, 'pg_rewrite', 0, 0 FROM pg_catalog.pg_rewrite
    UNION ALL SELECT xmin, 'pg_enum', 0, 0 FROM pg_catalog.pg_enum
    UNION ALL SELECT xmin, 'pg_range', 0, 0 FROM pg_catalog.pg_range
    UNION ALL SELECT xmin, 'pg_namespace', 0, 0 FROM pg_catalog.pg_namespace
    UNION ALL SELECT xmin, 'pg_extension', 0, 0 FROM pg_catalog.pg_extension
    UNION ALL SELECT xmin, 'pg_operator', 0, 0 FROM pg_catalog.pg_operator
    UNION ALL SELECT xmin, 'pg_opclass', 0, 0 FROM pg_catalog.pg_opclass
    UNION ALL SELECT xmin, 'pg_opfamily', 0, 0 FROM pg_catalog.pg_opfamily
    UNION ALL SELECT xmin, 'pg_amop', 0, 0 FROM pg_catalog.pg_amop
    UNION ALL SELECT xmin, 'pg_amproc', 0, 0 FROM pg_catalog.pg_amproc
    UNION ALL SELECT xmin, 'pg_aggregate', 0, 0 FROM pg_catalog.pg_aggregate
    UNION ALL SELECT xmin, 'pg_cast', 0, 0 FROM pg_catalog.pg_cast
    UNION ALL SELECT xmin, 'pg_collation', 0, 0 FROM pg_catalog.pg_collation
    UNION ALL SELECT xmin, 'pg_conversion', 0, 0 FROM pg_catalog.pg_conversion
    UNION ALL SELECT xmin, 'pg_language', 0, 0 FROM pg_catalog.pg_language
    UNION ALL SELECT xmin, 'pg_am', 0, 0 FROM pg_catalog.pg_am
    UNION ALL SELECT xmin, 'pg_ts_parser', 0, 0 FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT xmin, 'pg_ts_template', 0, 0 FROM pg_catalog.pg_ts_template
    UNION ALL SELECT xmin, 'pg_ts_dict', 0, 0 FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT xmin, 'pg_ts_config', 0, 0 FROM pg_catalog.pg_ts_config
    UNION ALL SELECT xmin, 'pg_ts_config_map', 0, 0 FROM pg_catalog.pg_ts_config_map
    UNION ALL SELECT xmin, 'pg_tablespace', 0, 0 FROM pg_catalog.pg_tablespace
    UNION ALL SELECT xmin, 'pg_description', 0, 0 FROM pg_catalog.pg_description
    UNION ALL SELECT xmin, 'pg_shdescription', 0, 0 FROM pg_catalog.pg_shdescription
    UNION ALL SELECT xmin, 'pg_init_privs', 0, 0 FROM pg_catalog.pg_init_privs
    UNION ALL SELECT xmin, 'pg_default_acl', 0, 0 FROM pg_catalog.pg_default_acl
    UNION ALL SELECT xmin, 'pg_auth_members', 0, 0 FROM pg_catalog.pg_auth_members
    UNION ALL SELECT xmin, 'pg_authid', 0, 0 FROM pg_catalog.pg_authid
    UNION ALL SELECT xmin, 'pg_db_role_setting', 0, 0 FROM pg_catalog.pg_db_role_setting
    UNION ALL SELECT xmin, 'pg_policy', 0, 0 FROM pg_catalog.pg_policy
    UNION ALL SELECT xmin, 'pg_event_trigger', 0, 0 FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT xmin, 'pg_statistic_ext', 0, 0 FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT xmin, 'pg_transform', 0, 0 FROM pg_catalog.pg_transform
    UNION ALL SELECT xmin, 'pg_foreign_data_wrapper', 0, 0 FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT xmin, 'pg_foreign_server', 0, 0 FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT xmin, 'pg_foreign_table', 0, 0 FROM pg_catalog.pg_foreign_table
    UNION ALL SELECT xmin, 'pg_user_mapping', 0, 0 FROM pg_catalog.pg_user_mapping
    UNION ALL SELECT xmin, 'pg_publication', 0, 0 FROM pg_catalog.pg_publication
    UNION ALL SELECT xmin, 'pg_publication_rel', 0, 0 FROM pg_catalog.pg_publication_rel
    UNION ALL SELECT xmin, 'pg_publication_namespace', 0, 0 FROM pg_catalog.pg_publication_namespace
    UNION ALL SELECT xmin, 'pg_subscription', 0, 0 FROM pg_catalog.pg_subscription
    UNION ALL SELECT xmin, 'pg_parameter_acl', 0, 0 FROM pg_catalog.pg_parameter_acl
    UNION ALL SELECT xmin, 'pg_seclabel', 0, 0 FROM pg_catalog.pg_seclabel
    UNION ALL SELECT xmin, 'pg_shseclabel', 0, 0 FROM pg_catalog.pg_shseclabel
) AS x (xmin, catalog, own, belongs)
