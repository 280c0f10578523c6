-- Which parts of the catalog's query have anything to read. Planning them takes longer
-- than running them, so a database without such objects is not asked for them. A system catalog
-- that initdb leaves empty is probed by its size, which needs no plan; a false alarm costs only time.
SELECT 'relations'
WHERE EXISTS (
    SELECT FROM pg_catalog.pg_class c
    WHERE c.oid >= 16384
      AND c.relnamespace NOT IN (
        SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname IN ('migration', 'pg_toast')))
UNION ALL
SELECT 'functions'
WHERE EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.oid >= 16384)
UNION ALL
SELECT 'views'
WHERE EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relkind IN ('v', 'm'))
UNION ALL
SELECT 'types'
WHERE EXISTS (
        SELECT FROM pg_catalog.pg_type t
        WHERE t.oid >= 16384
          AND (t.typtype IN ('d', 'e', 'r', 'p')
               OR t.typtype = 'b' AND t.typinput <> 'pg_catalog.array_in'::pg_catalog.regproc))
   OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid >= 16384 AND c.relkind = 'c')
UNION ALL
SELECT 'policies'
WHERE pg_catalog.pg_relation_size('pg_catalog.pg_policy') > 0
   OR pg_catalog.pg_relation_size('pg_catalog.pg_event_trigger') > 0
   OR pg_catalog.pg_relation_size('pg_catalog.pg_statistic_ext') > 0
   OR EXISTS (
        SELECT FROM pg_catalog.pg_rewrite w WHERE w.oid >= 16384 AND w.rulename <> '_RETURN')
UNION ALL
SELECT 'operators'
WHERE EXISTS (SELECT FROM pg_catalog.pg_operator o WHERE o.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_opclass o WHERE o.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_opfamily o WHERE o.oid >= 16384)
UNION ALL
SELECT 'conversions'
WHERE EXISTS (SELECT FROM pg_catalog.pg_cast k WHERE k.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_collation k WHERE k.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_conversion k WHERE k.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_language l WHERE l.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_am a WHERE a.oid >= 16384)
   OR pg_catalog.pg_relation_size('pg_catalog.pg_transform') > 0
UNION ALL
SELECT 'text_search'
WHERE EXISTS (SELECT FROM pg_catalog.pg_ts_parser x WHERE x.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_ts_template x WHERE x.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_ts_dict x WHERE x.oid >= 16384)
   OR EXISTS (SELECT FROM pg_catalog.pg_ts_config x WHERE x.oid >= 16384)
UNION ALL
SELECT 'foreign' WHERE pg_catalog.pg_relation_size('pg_catalog.pg_foreign_data_wrapper') > 0
UNION ALL
SELECT 'publications'
WHERE pg_catalog.pg_relation_size('pg_catalog.pg_publication') > 0
   OR pg_catalog.pg_relation_size('pg_catalog.pg_subscription') > 0
UNION ALL
SELECT 'default_privileges'
WHERE pg_catalog.pg_relation_size('pg_catalog.pg_default_acl') > 0
   OR pg_catalog.pg_relation_size('pg_catalog.pg_parameter_acl') > 0
UNION ALL
SELECT 'labels'
WHERE pg_catalog.pg_relation_size('pg_catalog.pg_seclabel') > 0
   OR pg_catalog.pg_relation_size('pg_catalog.pg_shseclabel') > 0
