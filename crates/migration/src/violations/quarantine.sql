-- Rows that a clean-up removed from their table or changed there, as they were before. Made when there is the first.
CREATE TABLE IF NOT EXISTS migration.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL,
    -- The statement that they were in the way of: file:line.
    place text NOT NULL,
    table_name text NOT NULL,
    row_data jsonb NOT NULL,
    reason text NOT NULL,
    quarantined timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
