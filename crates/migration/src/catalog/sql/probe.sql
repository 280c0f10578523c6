-- Which parts of the catalog's query have anything to read, one a column. Planning them takes longer than running
-- them, so a database without such objects is not asked for them. All in one look where that is possible: what has a
-- schema of its own, or belongs to something that has, has a row in pg_depend. A system catalog that initdb leaves
-- empty is probed by its size, which needs no plan. A false alarm costs only time.
SELECT c.relations, c.views, c.sequences, d.functions, d.operators, d.text_search, d.extension_dependencies,
    pg_catalog.pg_relation_size('pg_catalog.pg_enum') > 0 AS enums,
    c.composites OR EXISTS (
        SELECT FROM pg_catalog.pg_type t
        WHERE t.oid >= 16384
          AND (t.typtype IN ('d', 'r', 'p')
               OR t.typtype = 'b' AND t.typinput <> 'pg_catalog.array_in'::pg_catalog.regproc)) AS types,
    pg_catalog.pg_relation_size('pg_catalog.pg_policy') > 0
        OR pg_catalog.pg_relation_size('pg_catalog.pg_event_trigger') > 0
        OR pg_catalog.pg_relation_size('pg_catalog.pg_statistic_ext') > 0
        OR EXISTS (
            SELECT FROM pg_catalog.pg_rewrite w
            WHERE w.oid >= 16384 AND w.rulename <> '_RETURN') AS policies,
    -- Casts, languages and access methods may depend on nothing but what initdb made.
    d.conversions
        OR EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.oid >= 16384)
        OR EXISTS (SELECT FROM pg_catalog.pg_language l WHERE l.oid >= 16384)
        OR EXISTS (SELECT FROM pg_catalog.pg_am a WHERE a.oid >= 16384)
        OR pg_catalog.pg_relation_size('pg_catalog.pg_transform') > 0 AS conversions,
    pg_catalog.pg_relation_size('pg_catalog.pg_foreign_data_wrapper') > 0 AS "foreign",
    pg_catalog.pg_relation_size('pg_catalog.pg_publication') > 0
        OR pg_catalog.pg_relation_size('pg_catalog.pg_subscription') > 0 AS publications,
    pg_catalog.pg_relation_size('pg_catalog.pg_default_acl') > 0
        OR pg_catalog.pg_relation_size('pg_catalog.pg_parameter_acl') > 0 AS default_privileges,
    -- Not those that initdb gives to its own roles.
    EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.member >= 16384 OR m.member = 10) AS role_memberships,
    pg_catalog.pg_relation_size('pg_catalog.pg_db_role_setting') > 0 AS role_settings,
    pg_catalog.pg_relation_size('pg_catalog.pg_seclabel') > 0
        OR pg_catalog.pg_relation_size('pg_catalog.pg_shseclabel') > 0 AS labels,
    pg_catalog.pg_relation_size('pg_catalog.pg_user_mapping') > 0
        OR pg_catalog.pg_relation_size('pg_catalog.pg_subscription') > 0 AS unmodelled_rare,
    pg_catalog.current_setting('server_version_num')::int >= 190000 AS unmodelled_newer
FROM (
    SELECT pg_catalog.count(*) > 0 AS relations,
           coalesce(pg_catalog.bool_or(c.relkind IN ('v', 'm')), false) AS views,
           coalesce(pg_catalog.bool_or(c.relkind = 'S'), false) AS sequences,
           coalesce(pg_catalog.bool_or(c.relkind = 'c'), false) AS composites
    FROM pg_catalog.pg_class c
    WHERE c.oid >= 16384
      AND c.relnamespace NOT IN (
        SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('migration', 'pg_toast'))
      AND c.oid NOT IN (
        SELECT e.objid FROM pg_catalog.pg_depend e
        WHERE e.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND e.deptype = 'e')
) AS c
CROSS JOIN (
    SELECT coalesce(pg_catalog.bool_or(d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass), false) AS functions,
           coalesce(pg_catalog.bool_or(d.classid IN (
               'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass,
               'pg_catalog.pg_opfamily'::pg_catalog.regclass)), false) AS operators,
           coalesce(pg_catalog.bool_or(d.classid IN (
               'pg_catalog.pg_collation'::pg_catalog.regclass,
               'pg_catalog.pg_conversion'::pg_catalog.regclass)), false) AS conversions,
           coalesce(pg_catalog.bool_or(d.classid IN (
               'pg_catalog.pg_ts_parser'::pg_catalog.regclass, 'pg_catalog.pg_ts_template'::pg_catalog.regclass,
               'pg_catalog.pg_ts_dict'::pg_catalog.regclass, 'pg_catalog.pg_ts_config'::pg_catalog.regclass)),
               false) AS text_search,
           coalesce(pg_catalog.bool_or(d.deptype = 'x'), false) AS extension_dependencies
    FROM pg_catalog.pg_depend d
    WHERE d.objid >= 16384
) AS d
