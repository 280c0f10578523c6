-- The search_path that ALTER ROLE or ALTER DATABASE sets for this session, and that psql would use: of several, the one
-- that would be in force.
SELECT CASE WHEN r.setrole <> 0 THEN pg_catalog.quote_ident(session_user) END AS role,
       CASE WHEN r.setdatabase <> 0 THEN pg_catalog.quote_ident(pg_catalog.current_database()) END AS database,
       pg_catalog.substr(c.setting, 13) AS value
FROM pg_catalog.pg_db_role_setting AS r
CROSS JOIN LATERAL pg_catalog.unnest(r.setconfig) AS c (setting)
WHERE c.setting LIKE 'search\_path=%'
  AND r.setrole IN (0, (SELECT u.oid FROM pg_catalog.pg_roles AS u WHERE u.rolname = session_user))
  AND r.setdatabase IN (
    0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
ORDER BY r.setrole <> 0 DESC, r.setdatabase <> 0 DESC
LIMIT 1
