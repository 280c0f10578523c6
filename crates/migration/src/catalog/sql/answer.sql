SELECT o.kind, o.identity, o.definition
FROM object o
WHERE o.definition IS NOT NULL
UNION ALL
SELECT CASE WHEN c.acltype IN ('D', 'R') THEN 'default privilege' ELSE 'privilege' END,
       pg_catalog.lower(c.privilege) || ' on ' || c.target || ' to ' || CASE
           WHEN c.grantee = 0 THEN 'public'
           WHEN c.grantee = c.owner THEN 'the owner'
           ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.grantee)) END,
       CASE WHEN NOT pg_catalog.bool_or(c.now) THEN 'revoked'
       ELSE pg_catalog.concat_ws(' ', 'granted',
           CASE WHEN pg_catalog.bool_or(c.now AND c.grantable) THEN 'with grant option' END,
           'by ' || pg_catalog.string_agg(c.grantors, ', ') FILTER (WHERE c.now)) END
FROM comparable c
GROUP BY c.target, c.owner, c.acltype, c.grantee, c.privilege
HAVING NOT (pg_catalog.bool_or(c.now) AND pg_catalog.bool_or(NOT c.now))
    OR pg_catalog.bool_or(c.now AND c.grantable) <> pg_catalog.bool_or(NOT c.now AND c.grantable)
UNION ALL
-- Whoever runs the migrations owns what they make; the names of other owners are said by a statement, or by nobody.
SELECT 'owner', 'of ' || o.kind || ' ' || o.identity, pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o.owner))
FROM object o
WHERE o.definition IS NOT NULL AND o.objsubid = 0 AND o.kind <> 'index' AND (o.objid >= 16384 OR o.kind = 'schema')
  AND o.owner NOT IN (SELECT m.oid FROM migrator m)
UNION ALL
SELECT '?migrator', pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(m.oid)), ''
FROM migrator m
