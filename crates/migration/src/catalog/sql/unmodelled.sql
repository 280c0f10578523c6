-- What the query above has no words for. The kind starts with a question mark.
SELECT '?' || (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = d.classid),
       coalesce(i.type || ' ' || i.identity, 'object ' || d.objid), 'not described'
FROM (
    SELECT DISTINCT x.classid, x.objid
    FROM pg_catalog.pg_depend x
    WHERE x.objid >= 16384 AND x.deptype <> 'e'
      AND x.classid NOT IN (
        SELECT c.oid FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relname IN (
          'pg_namespace', 'pg_extension', 'pg_class', 'pg_attrdef', 'pg_constraint', 'pg_type', 'pg_proc',
          'pg_trigger', 'pg_rewrite', 'pg_policy', 'pg_event_trigger', 'pg_statistic_ext', 'pg_operator',
          'pg_opclass', 'pg_opfamily', 'pg_amop', 'pg_amproc', 'pg_cast', 'pg_collation', 'pg_conversion',
          'pg_language', 'pg_transform', 'pg_am', 'pg_ts_parser', 'pg_ts_template', 'pg_ts_dict',
          'pg_ts_config', 'pg_foreign_data_wrapper', 'pg_foreign_server', 'pg_user_mapping', 'pg_publication',
          'pg_publication_rel', 'pg_publication_namespace', 'pg_default_acl'))
) d
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
