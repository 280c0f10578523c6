-- Pins what the phase files may rely on, names the session, and tries the mutex $2: one round trip.
-- All of it only in a session of our own: where the startup message's setting $1 is not seen, a pooler stands
-- in between, and nothing may be left behind in its session before it is known ($4) that it does not swap them.
SELECT s.*, d.direct,
    pg_catalog.pg_backend_pid() AS pid, current_user::text AS role,
    pg_catalog.current_setting('transaction_read_only')::boolean AS read_only,
    pg_catalog.to_regclass('migration.runs') IS NOT NULL AS journal,
    pg_catalog.current_setting('server_version_num') AS version_number,
    pg_catalog.current_setting('server_version') AS version
FROM (SELECT $4 OR pg_catalog.current_setting('xtask.session', true) IS NOT DISTINCT FROM $1 AS direct) AS d
LEFT JOIN LATERAL (
    SELECT
        pg_catalog.set_config('search_path', 'public', false),
        pg_catalog.set_config('standard_conforming_strings', 'on', false),
        pg_catalog.set_config('client_min_messages', 'notice', false),
        pg_catalog.set_config('statement_timeout', '0', false),
        pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
        pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
        pg_catalog.set_config('synchronous_commit', 'off', false),
        pg_catalog.set_config('application_name', 'xtask migrate', false),
        pg_catalog.set_config('lock_timeout', $3, false),
        -- A server notices within a second that we were killed, and frees the mutex. Only Linux can.
        CASE WHEN pg_catalog.version() ~ 'linux' THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END,
        pg_catalog.pg_try_advisory_lock($2) AS locked
    WHERE d.direct
) AS s ON true
