-- Why this server takes no writes: it replays another one's, or a setting says so, and then where that stands. Of what
-- ALTER ROLE and ALTER DATABASE say, the first row is in force. A role's settings are those of the one that logged in.
SELECT pg_catalog.pg_is_in_recovery() AS standby, s.source,
       o.role, o.database, pg_catalog.current_database()::text AS here,
       s.sourcefile || ':' || s.sourceline AS place
FROM pg_catalog.pg_settings AS s
LEFT JOIN LATERAL (
    SELECT CASE WHEN r.setrole <> 0 THEN pg_catalog.quote_ident(session_user) END AS role,
           CASE WHEN r.setdatabase <> 0 THEN pg_catalog.quote_ident(pg_catalog.current_database()) END AS database
    FROM pg_catalog.pg_db_role_setting AS r
    WHERE r.setrole IN (0, (SELECT u.oid FROM pg_catalog.pg_roles AS u WHERE u.rolname = session_user))
      AND r.setdatabase IN (
        0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
      AND EXISTS (
        SELECT FROM pg_catalog.unnest(r.setconfig) AS c WHERE c LIKE 'default\_transaction\_read\_only=%')
    ORDER BY r.setrole <> 0 DESC, r.setdatabase <> 0 DESC
    LIMIT 1
) AS o ON s.source IN ('database user', 'user', 'database', 'global')
WHERE s.name = 'default_transaction_read_only'
