-- Tries the mutex $2, and asks what is to be known of server and session: one round trip. Only in a session of our own:
-- where the startup message's setting $1 is not seen, a pooler stands in between, and nothing may be left behind in its
-- session before it is known ($3) that it does not swap them.
SELECT d.direct,
    -- A server notices within a second that we were killed, and frees the mutex. Only Linux can.
    CASE WHEN d.direct AND pg_catalog.version() LIKE '%linux%'
        THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END AS check_interval,
    CASE WHEN d.direct THEN pg_catalog.pg_try_advisory_lock($2) END AS locked,
    pg_catalog.pg_backend_pid() AS pid, current_user::text AS role,
    pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
    -- Not by to_regclass: it refuses to answer where the schema may not be used.
    EXISTS (
        SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'migration' AND c.relname = 'runs') AS journal,
    pg_catalog.current_setting('server_version_num') AS version_number,
    pg_catalog.current_setting('server_version') AS version,
    pg_catalog.current_setting('server_encoding') AS encoding,
    -- What psql would use and this session does not: {role, database, value}, the one that would be in force.
    (SELECT ARRAY[
         CASE r.setrole WHEN 0 THEN NULL ELSE pg_catalog.quote_ident(session_user) END,
         CASE r.setdatabase WHEN 0 THEN NULL ELSE pg_catalog.quote_ident(pg_catalog.current_database()) END,
         pg_catalog.substr(c.setting, 13)]
     FROM pg_catalog.pg_db_role_setting AS r
     CROSS JOIN LATERAL pg_catalog.unnest(r.setconfig) AS c (setting)
     WHERE c.setting LIKE 'search\_path=%'
       AND r.setrole IN (0, (SELECT u.oid FROM pg_catalog.pg_roles AS u WHERE u.rolname = session_user))
       AND r.setdatabase IN (
         0, (SELECT b.oid FROM pg_catalog.pg_database AS b WHERE b.datname = pg_catalog.current_database()))
     ORDER BY r.setrole <> 0 DESC, r.setdatabase <> 0 DESC
     LIMIT 1) AS own_search_path
FROM (SELECT $3 OR pg_catalog.current_setting('xtask.session', true) IS NOT DISTINCT FROM $1 AS direct) AS d
