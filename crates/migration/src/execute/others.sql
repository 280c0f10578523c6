-- Whether anybody else uses the database, who could have been kept waiting: other migrations only wait for their turn.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity AS a
    WHERE a.datname = pg_catalog.current_database() AND a.backend_type = 'client backend'
      AND a.pid <> pg_catalog.pg_backend_pid() AND a.application_name NOT LIKE '%xtask%')
