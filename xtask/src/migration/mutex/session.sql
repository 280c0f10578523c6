-- Pins what the phase files may rely on, names the session, and tries the mutex: one round trip.
SELECT
    pg_catalog.set_config('search_path', 'public', false),
    pg_catalog.set_config('standard_conforming_strings', 'on', false),
    pg_catalog.set_config('client_min_messages', 'notice', false),
    pg_catalog.set_config('statement_timeout', '0', false),
    pg_catalog.set_config('idle_in_transaction_session_timeout', '0', false),
    pg_catalog.set_config('default_transaction_isolation', 'read committed', false),
    pg_catalog.set_config('synchronous_commit', 'off', false),
    pg_catalog.set_config('application_name', 'xtask migrate', false),
    pg_catalog.set_config('lock_timeout', $2, false),
    -- A server notices within a second that we were killed, and frees the mutex. Only Linux can.
    CASE WHEN pg_catalog.version() ~ 'linux' THEN pg_catalog.set_config('client_connection_check_interval', '1s', false) END,
    pg_catalog.pg_backend_pid() AS pid,
    pg_catalog.obj_description(pg_catalog.to_regnamespace('migration'), 'pg_namespace') AS journal_version,
    pg_catalog.current_setting('server_version_num')::integer AS version_number,
    pg_catalog.current_setting('server_version') AS version,
    pg_catalog.pg_try_advisory_lock($1) AS locked
