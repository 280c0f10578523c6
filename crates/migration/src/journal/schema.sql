-- The journal. Sent as one transaction, and only where it is not there; somebody else may make it at the same moment.
CREATE SCHEMA IF NOT EXISTS migration;
COMMENT ON SCHEMA migration IS 'xtask journal, version 5';

CREATE TABLE IF NOT EXISTS migration.runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tool_version text NOT NULL,
    git_commit text,
    database_user text NOT NULL DEFAULT current_user,
    os_user text,
    host text,
    backend_pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    started timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished timestamptz,
    outcome text NOT NULL DEFAULT 'running'
        CHECK (outcome IN ('running', 'succeeded', 'failed', 'interrupted', 'died')),
    error text,
    statements_run integer NOT NULL DEFAULT 0,
    statements_skipped integer NOT NULL DEFAULT 0,
    -- Objects that differ between the catalog before and after: [{kind, identity, before, after}].
    changes jsonb NOT NULL DEFAULT '[]',
    -- Whether somebody has looked what changed. Not while a run is under way, nor if it died: then these are the changes
    -- that were planned (nothing was planned on record where the database was empty, or expected.json was not used).
    changes_seen boolean NOT NULL DEFAULT false,
    -- What a converged run has seen: the hash of the expected catalog, and the fingerprint of the actual one.
    expected_hash text,
    fingerprint text,
    -- How long others could have been kept waiting, by waits for locks and by locks that were held.
    stalled interval NOT NULL DEFAULT '0',
    -- No other transaction wrote anything between the look at the catalog and this record.
    settled boolean NOT NULL DEFAULT false,
    -- The version of the phases; none where they were run without expected.json.
    version text,
    -- The runs that it took back.
    undoes bigint[] NOT NULL DEFAULT '{}',
    -- What has run once here and is not in migration.once has not run: the database was empty at first, or taken over.
    since_empty boolean NOT NULL DEFAULT false
);

-- Versions that runs have begun to bring the database to, and those that each was made from.
CREATE TABLE IF NOT EXISTS migration.versions (
    version text PRIMARY KEY,
    lineage text[] NOT NULL
);

CREATE TABLE IF NOT EXISTS migration.steps (
    -- No foreign key: it would cost as much at each step as the step itself. Whoever deletes runs deletes their steps.
    run_id bigint NOT NULL,
    number integer NOT NULL,
    phase text NOT NULL,
    file text NOT NULL,
    line integer NOT NULL,
    statement_hash text NOT NULL,
    summary text NOT NULL,
    started timestamptz NOT NULL,
    duration interval NOT NULL,
    lock_wait interval NOT NULL,
    attempts integer NOT NULL,
    rows bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'satisfied', 'warning', 'failed', 'interrupted')),
    error text,
    -- What is worth knowing besides: rows that were there already, why rows could be dropped.
    note text,
    PRIMARY KEY (run_id, number)
);

-- Statements that run once and have: by the hash of their tokens, and which of those with this hash.
CREATE TABLE IF NOT EXISTS migration.once (
    hash text NOT NULL,
    occurrence integer NOT NULL,
    run_id bigint NOT NULL,
    step integer,
    recorded timestamptz NOT NULL,
    PRIMARY KEY (hash, occurrence)
);
