-- Tries the mutex $2, and asks what is to be known of server and session: one round trip. Only in a session of our own:
-- where the startup message's setting $1 is not seen, a pooler stands in between, and nothing may be left behind in its
-- session before it is known ($3) that it does not swap them.
SELECT d.direct,
    -- A server notices within a second that we were killed, and frees the mutex. Only Linux can.
    CASE WHEN d.direct AND pg_catalog.version() LIKE '%linux%'
        THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END AS check_interval,
    -- No startup message can have it: servers before 17 do not know it.
    CASE WHEN d.direct AND pg_catalog.current_setting('transaction_timeout', true) IS NOT NULL
        THEN pg_catalog.set_config('transaction_timeout', '0', false) END AS transaction_timeout,
    CASE WHEN d.direct THEN pg_catalog.pg_try_advisory_lock($2) END AS locked,
    pg_catalog.pg_backend_pid() AS pid, current_user::text AS role,
    pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
    -- to_regclass refuses to answer where the schema may not be used.
    CASE WHEN pg_catalog.to_regnamespace('migration') IS NULL THEN false
        WHEN NOT pg_catalog.has_schema_privilege('migration', 'USAGE') THEN true
        ELSE pg_catalog.to_regclass('migration.runs') IS NOT NULL END AS journal,
    pg_catalog.current_setting('server_version_num') AS version_number,
    pg_catalog.current_setting('server_version') AS version,
    pg_catalog.current_setting('server_encoding') AS encoding,
    -- Whether anything may stand there is told by its size, which needs no plan.
    pg_catalog.pg_relation_size('pg_catalog.pg_db_role_setting') > 0 AS own_settings
FROM (SELECT $3 OR pg_catalog.current_setting('xtask.session', true) IS NOT DISTINCT FROM $1 AS direct) AS d
