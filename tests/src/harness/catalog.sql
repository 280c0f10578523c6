-- Every object that a schema file can make, one row each, as PostgreSQL prints its definition.
-- The engine has a query of its own; this one is written apart from it, so that one can show what
-- the other does not see. The journal is left out, and so is what belongs to an extension.
WITH ours AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'migration')
), of_extension AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), relation AS (
    SELECT c.*, n.nspname FROM pg_catalog.pg_class c JOIN ours n ON n.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM of_extension e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid)
), owner AS (
    SELECT datdba::regrole::text AS name FROM pg_catalog.pg_database WHERE datname = current_database()
)
SELECT kind, identity, definition FROM (
    SELECT 'extension', extname, '' FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'
  UNION ALL
    SELECT 'schema', nspname, '' FROM ours
  UNION ALL
    SELECT 'relation', format('%s.%s', nspname, relname),
        concat_ws(' ', relkind, relpersistence, CASE WHEN relrowsecurity THEN 'row security' END,
            CASE WHEN relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(oid) END)
    FROM relation WHERE relkind NOT IN ('i', 'I')
  UNION ALL
    SELECT 'column', format('%s.%s.%s', r.nspname, r.relname, a.attname),
        concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,
            'default ' || pg_catalog.pg_get_expr(d.adbin, d.adrelid), nullif(a.attidentity, ''), nullif(a.attgenerated, ''))
    FROM relation r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
    WHERE r.relkind IN ('r', 'p', 'f')
  UNION ALL
    -- PostgreSQL 18 keeps NOT NULL as constraints too; the columns say it already.
    SELECT 'constraint', format('%s.%s.%s', r.nspname, r.relname, k.conname),
        pg_catalog.pg_get_constraintdef(k.oid) || CASE WHEN k.convalidated THEN '' ELSE ' (not validated)' END
    FROM relation r JOIN pg_catalog.pg_constraint k ON k.conrelid = r.oid WHERE k.contype <> 'n'
  UNION ALL
    SELECT 'index', format('%s.%s', i.nspname, i.relname),
        pg_catalog.pg_get_indexdef(i.oid) || CASE WHEN x.indisvalid AND x.indisready THEN '' ELSE ' (invalid)' END
    FROM relation i JOIN pg_catalog.pg_index x ON x.indexrelid = i.oid
  UNION ALL
    SELECT 'trigger', format('%s.%s.%s', r.nspname, r.relname, t.tgname),
        pg_catalog.pg_get_triggerdef(t.oid) || ' ' || t.tgenabled::text
    FROM relation r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
  UNION ALL
    SELECT 'function', p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)
    FROM pg_catalog.pg_proc p JOIN ours n ON n.oid = p.pronamespace
    WHERE p.prokind IN ('f', 'p')
        AND NOT EXISTS (SELECT FROM of_extension e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid)
  UNION ALL
    -- Labels that were added later sort where they were put, not where they were asked for.
    SELECT 'enum label', format('%s.%s', e.enumtypid::regtype, e.enumlabel), ''
    FROM pg_catalog.pg_enum e JOIN pg_catalog.pg_type t ON t.oid = e.enumtypid JOIN ours n ON n.oid = t.typnamespace
  UNION ALL
    SELECT 'comment', format('%s.%s', c.nspname, c.relname) || coalesce('.' || a.attname, ''), d.description
    FROM pg_catalog.pg_description d
    JOIN relation c ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
  UNION ALL
    SELECT 'grant', format('%s.%s to %s: %s', r.nspname, r.relname, a.grantee::regrole, a.privilege_type), ''
    FROM relation r, pg_catalog.aclexplode(r.relacl) a, owner WHERE a.grantee::regrole::text <> owner.name
  UNION ALL
    SELECT 'grant', format('schema %s to %s: %s', n.nspname, a.grantee::regrole, a.privilege_type), ''
    FROM ours o JOIN pg_catalog.pg_namespace n USING (oid), pg_catalog.aclexplode(n.nspacl) a, owner
    WHERE a.grantee::regrole::text <> owner.name
  UNION ALL
    SELECT 'grant', format('database to %s: %s', a.grantee::regrole, a.privilege_type), ''
    FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a, owner
    WHERE d.datname = current_database() AND a.grantee::regrole::text <> owner.name
  UNION ALL
    SELECT 'default grant', format('%s by %s in %s to %s: %s', d.defaclobjtype, replace(d.defaclrole::regrole::text, owner.name, 'the owner'),
        coalesce(n.nspname, 'all schemas'), a.grantee::regrole, a.privilege_type), ''
    FROM pg_catalog.pg_default_acl d LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace,
        pg_catalog.aclexplode(d.defaclacl) a, owner
    WHERE a.grantee::regrole::text <> owner.name
) AS object (kind, identity, definition)
ORDER BY 1, 2, 3
