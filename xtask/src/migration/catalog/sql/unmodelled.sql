-- What the query above has no words for. The kind starts with a question mark.
SELECT '?' || (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = d.classid),
       coalesce(i.type || ' ' || i.identity, 'object ' || d.objid), 'not described'
FROM (
    SELECT DISTINCT x.classid, x.objid
    FROM pg_catalog.pg_depend x
    WHERE x.objid >= 16384 AND x.deptype <> 'e'
      AND x.classid NOT IN (
        'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass,
        'pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
        'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_type'::pg_catalog.regclass,
        'pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
        'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass,
        'pg_catalog.pg_event_trigger'::pg_catalog.regclass,
        'pg_catalog.pg_statistic_ext'::pg_catalog.regclass,
        'pg_catalog.pg_operator'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass,
        'pg_catalog.pg_opfamily'::pg_catalog.regclass, 'pg_catalog.pg_amop'::pg_catalog.regclass,
        'pg_catalog.pg_amproc'::pg_catalog.regclass, 'pg_catalog.pg_cast'::pg_catalog.regclass,
        'pg_catalog.pg_collation'::pg_catalog.regclass, 'pg_catalog.pg_conversion'::pg_catalog.regclass,
        'pg_catalog.pg_language'::pg_catalog.regclass, 'pg_catalog.pg_transform'::pg_catalog.regclass,
        'pg_catalog.pg_am'::pg_catalog.regclass, 'pg_catalog.pg_ts_parser'::pg_catalog.regclass,
        'pg_catalog.pg_ts_template'::pg_catalog.regclass, 'pg_catalog.pg_ts_dict'::pg_catalog.regclass,
        'pg_catalog.pg_ts_config'::pg_catalog.regclass,
        'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass,
        'pg_catalog.pg_foreign_server'::pg_catalog.regclass,
        'pg_catalog.pg_user_mapping'::pg_catalog.regclass,
        'pg_catalog.pg_publication'::pg_catalog.regclass,
        'pg_catalog.pg_publication_rel'::pg_catalog.regclass,
        'pg_catalog.pg_publication_namespace'::pg_catalog.regclass,
        'pg_catalog.pg_default_acl'::pg_catalog.regclass)
) d
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
UNION ALL
SELECT '?pg_class', c.identity, 'relation of kind ' || c.relkind::text
FROM relation c
WHERE c.relkind NOT IN ('r', 'p', 'f', 'v', 'm', 'S', 'i', 'I', 'c', 't')
UNION ALL
SELECT '?pg_constraint', pg_catalog.quote_ident(k.conname) || ' on ' || c.identity,
       'constraint of kind ' || k.contype::text
FROM pg_catalog.pg_constraint k
JOIN relation c ON c.oid = k.conrelid
WHERE k.contype NOT IN ('c', 'f', 'n', 'p', 'u', 't', 'x')
UNION ALL
SELECT '?pg_type', n.name || '.' || pg_catalog.quote_ident(t.typname), 'type of kind ' || t.typtype::text
FROM pg_catalog.pg_type t
JOIN namespace n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND t.typtype NOT IN ('b', 'c', 'd', 'e', 'm', 'p', 'r')
UNION ALL
SELECT '?pg_proc', p.oid::pg_catalog.regprocedure::text, 'routine of kind ' || p.prokind::text
FROM pg_catalog.pg_proc p
JOIN namespace n ON n.oid = p.pronamespace
WHERE p.oid >= 16384 AND p.prokind NOT IN ('a', 'f', 'p', 'w')
UNION ALL
SELECT '?pg_subscription', pg_catalog.quote_ident(s.subname),
       'its connection, and options newer than PostgreSQL 15'
FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_database db ON db.oid = s.subdbid AND db.datname = pg_catalog.current_database()
UNION ALL
SELECT '?pg_user_mapping', 'for ' || coalesce(u.usename, 'public') || ' server ' || u.srvname,
       'its options, which this role may not read'
FROM pg_catalog.pg_user_mappings u
WHERE u.umoptions IS NULL
  AND NOT pg_catalog.pg_has_role((SELECT s.srvowner FROM pg_catalog.pg_foreign_server s
                                  WHERE s.oid = u.srvid), 'USAGE')
UNION ALL
SELECT '?server', pg_catalog.current_setting('server_version'),
       'newer than 18: its catalogs may hold what this program does not know'
WHERE pg_catalog.current_setting('server_version_num')::int >= 190000
