-- Rows that a clean-up removed from their table or changed there. Made when there is the first.
CREATE TABLE IF NOT EXISTS migration.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL,
    -- The statement that they were in the way of, or that changed them: file:line.
    place text NOT NULL,
    table_name text NOT NULL,
    reason text NOT NULL,
    -- The row as it was.
    row_data jsonb NOT NULL,
    -- If it stayed: the row as it was then, and the columns that were set. Its key may be one of them.
    row_after jsonb,
    set_columns text[],
    quarantined timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    -- When it was put back where it had been, and by whom.
    restored timestamptz,
    restored_by text
);
