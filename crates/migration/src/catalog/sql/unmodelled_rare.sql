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
