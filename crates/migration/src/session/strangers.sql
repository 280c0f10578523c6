-- Functions and operators in a schema of the search path that bear the name of one of PostgreSQL's own and belong to
-- nobody whom this session trusts: where their parameters fit better, SQL without a schema calls them instead. And tables
-- there whose triggers, of the same owners, would run what this session writes.
SELECT s.kind, s.identity, pg_catalog.pg_get_userbyid(s.owner)::text AS owner
FROM (
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
           p.oid::pg_catalog.regprocedure::text AS identity, p.proowner AS owner
    FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace = ANY (SELECT n.oid FROM pg_catalog.pg_namespace AS n
                                WHERE n.nspname = ANY (pg_catalog.current_schemas(false)))
      AND EXISTS (SELECT FROM pg_catalog.pg_proc AS own
                  WHERE own.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND own.proname = p.proname)
    UNION ALL
    SELECT 'operator', o.oid::pg_catalog.regoperator::text, o.oprowner
    FROM pg_catalog.pg_operator AS o
    WHERE o.oprnamespace = ANY (SELECT n.oid FROM pg_catalog.pg_namespace AS n
                                WHERE n.nspname = ANY (pg_catalog.current_schemas(false)))
      AND EXISTS (SELECT FROM pg_catalog.pg_operator AS own
                  WHERE own.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace AND own.oprname = o.oprname)
    UNION ALL
    SELECT DISTINCT 'table', c.oid::pg_catalog.regclass::text, c.relowner
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND NOT t.tgisinternal
    JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid AND p.proowner = c.relowner
    WHERE c.relnamespace = ANY (SELECT n.oid FROM pg_catalog.pg_namespace AS n
                                WHERE n.nspname = ANY (pg_catalog.current_schemas(false)))
      AND pg_catalog.pg_has_role(c.relowner, 'MEMBER') IS NOT TRUE
      AND c.relname = ANY ($1)
) AS s
JOIN pg_catalog.pg_roles AS r ON r.oid = s.owner
WHERE NOT (r.rolsuper OR pg_catalog.pg_has_role(s.owner, 'MEMBER')
           AND NOT (SELECT me.rolsuper FROM pg_catalog.pg_roles AS me WHERE me.rolname = CURRENT_USER))
  AND s.owner NOT IN (SELECT d.datdba FROM pg_catalog.pg_database AS d
                      WHERE d.datname = pg_catalog.current_database())
  AND r.rolname <> CURRENT_USER
ORDER BY s.kind, s.identity
LIMIT 20
