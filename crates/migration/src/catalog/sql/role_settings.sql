-- Settings of roles and of the database.
SELECT NULL::pg_catalog.oid, NULL::pg_catalog.oid, 0,
       CASE WHEN s.setrole = 0 THEN 'database setting'
            WHEN s.setdatabase = 0 THEN 'role setting'
            ELSE 'role setting in database' END,
       CASE WHEN s.setrole = 0 THEN ''
            WHEN s.setrole IN (SELECT m.oid FROM migrator m) THEN 'the owner.'
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) || '.' END
           || pg_catalog.split_part(c.setting, '=', 1),
       pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1),
       NULL::pg_catalog.oid, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_db_role_setting s
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
WHERE s.setdatabase IN (
        0, (SELECT db.oid FROM pg_catalog.pg_database db
            WHERE db.datname = pg_catalog.current_database()))
  AND (s.setrole <> 10 OR s.setdatabase <> 0)
