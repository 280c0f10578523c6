-- Lets the role {role} read the runs, and what was set aside as far as it names no rows; sent where it exists.
DO $$ BEGIN
    IF pg_catalog.to_regrole('{role}') IS NULL OR pg_catalog.to_regclass('migration.runs') IS NULL THEN
        RETURN;
    END IF;
    GRANT USAGE ON SCHEMA migration TO {role};
    GRANT SELECT ON migration.runs, migration.steps, migration.versions TO {role};
    IF pg_catalog.to_regclass('migration.quarantine') IS NOT NULL THEN
        CREATE OR REPLACE VIEW migration.set_aside AS
            SELECT q.run_id, q.place, q.table_name, q.reason, pg_catalog.count(*) AS rows,
                   pg_catalog.count(q.restored) AS restored
            FROM migration.quarantine AS q
            GROUP BY q.run_id, q.place, q.table_name, q.reason;
        GRANT SELECT ON migration.set_aside TO {role};
    END IF;
END $$
