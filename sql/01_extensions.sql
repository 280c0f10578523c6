-- Phase 01: extensions that the schema is built with.
--
-- To add one: `CREATE EXTENSION IF NOT EXISTS`. If the role that migrates may not create it everywhere (it is not
-- trusted, or the server may lack it), write it as pg_stat_statements below, so that psql goes on as well.

-- Makes the ids of rows. Trusted: the owner of the database may create it.
CREATE EXTENSION IF NOT EXISTS "uuid-ossp";

-- Statistics of queries, for operators only: nothing in the portal needs it. Creating it takes a superuser, and it
-- counts nothing unless the server preloads it (shared_preload_libraries), so a database without it is in order.
-- xtask: optional
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') THEN
        CREATE EXTENSION pg_stat_statements;
    END IF;
EXCEPTION
    WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
        RAISE WARNING 'extension pg_stat_statements is not installed: %', SQLERRM
            USING HINT = 'A superuser may run: CREATE EXTENSION pg_stat_statements. The portal works without it.';
END $$;
