-- The databases of the cluster that one can connect to.
SELECT d.datname::text FROM pg_catalog.pg_database AS d
WHERE d.datallowconn AND NOT d.datistemplate AND pg_catalog.has_database_privilege(d.oid, 'CONNECT')
ORDER BY d.datname
