-- Phase 06: constraints, each made without stopping writes, with the clean-up that it needs right before it.
--
-- To add a
-- * unique constraint: clean up duplicates, build the unique index concurrently, make it a constraint;
-- * NOT NULL: add the column to its table's "required_columns" check, which is added NOT VALID (from then on no new row
--   breaks it), fill what lacks, VALIDATE (reads the table, blocks nobody), SET NOT NULL (sees the valid check and
--   reads nothing), and drop the check again;
-- * foreign key or check: add it NOT VALID, clean up, VALIDATE.
--
-- Rules of clean-up:
-- * What it takes out or changes goes to quarantined_rows in the same statement, as it was, with the reason.
-- * `xtask: prepares` names the constraint or column; the engine runs it only while that one is not as expected. The
--   condition on the catalog says the same for psql, and is looked at once, not for each row: with nothing to do,
--   two million rows take no longer than two.
-- * Duplicates: the most recently synced or updated row stays. It is coalesce and not greatest: Airtable is the source,
--   and a row that was synced lately is newer than a stale copy that was inserted (and so "updated") after it.
-- * Rows are told apart by ctid, since a table without its primary key may hold the same id twice.

-- events, attendees and admins. A row without an airtable_id, a name or an address stays in its table, with a
-- placeholder that nobody can have: .invalid is reserved, no mail goes there and nobody logs in by it.

-- events

-- xtask: prepares constraint events_airtable_id_key on public.events
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY airtable_id ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.events
    WHERE airtable_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.events_airtable_id_key') AND indisvalid)
), removed AS (
    DELETE FROM public.events AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'events', row_data, 'duplicate airtable_id: the row synced or updated last was kept' FROM removed;

-- xtask: prepares constraint events_airtable_id_key on public.events
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS events_airtable_id_key ON public.events (airtable_id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE conname = 'events_airtable_id_key' AND conrelid = 'public.events'::regclass) THEN
        ALTER TABLE public.events ADD CONSTRAINT events_airtable_id_key UNIQUE USING INDEX events_airtable_id_key;
    END IF;
END $$;

-- xtask: prepares column public.events.id
-- xtask: prepares column public.events.airtable_id
-- xtask: prepares column public.events.event_name
-- xtask: prepares column public.events.email
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.events'::regclass
               AND attname IN ('id', 'airtable_id', 'event_name', 'email') AND NOT attnotnull)
       AND NOT EXISTS (SELECT FROM pg_constraint
                       WHERE conname = 'events_required_columns' AND conrelid = 'public.events'::regclass) THEN
        ALTER TABLE public.events ADD CONSTRAINT events_required_columns
            CHECK (id IS NOT NULL AND airtable_id IS NOT NULL AND event_name IS NOT NULL AND email IS NOT NULL) NOT VALID;
    END IF;
END $$;

-- xtask: prepares column public.events.id
-- xtask: prepares column public.events.airtable_id
-- xtask: prepares column public.events.event_name
-- xtask: prepares column public.events.email
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.events AS t
    WHERE (id IS NULL OR airtable_id IS NULL OR event_name IS NULL OR email IS NULL)
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.events'::regclass
                  AND attname IN ('id', 'airtable_id', 'event_name', 'email') AND NOT attnotnull)
), filled AS (
    UPDATE public.events AS t
    SET id = coalesce(t.id, uuid_generate_v4()),
        airtable_id = coalesce(t.airtable_id, 'missing-' || uuid_generate_v4()),
        event_name = coalesce(t.event_name, '(name missing)'),
        email = coalesce(t.email, 'missing-' || uuid_generate_v4() || '@missing.invalid')
    FROM lacking WHERE t.ctid = lacking.ctid
    RETURNING lacking.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'events', row_data, 'required value missing: the row stays in its table with a placeholder' FROM filled;

-- xtask: prepares column public.events.id
-- xtask: prepares column public.events.airtable_id
-- xtask: prepares column public.events.event_name
-- xtask: prepares column public.events.email
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint
               WHERE conname = 'events_required_columns' AND conrelid = 'public.events'::regclass
                   AND NOT convalidated) THEN
        ALTER TABLE public.events VALIDATE CONSTRAINT events_required_columns;
    END IF;
END $$;

ALTER TABLE public.events ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.events ALTER COLUMN airtable_id SET NOT NULL;
ALTER TABLE public.events ALTER COLUMN event_name SET NOT NULL;
ALTER TABLE public.events ALTER COLUMN email SET NOT NULL;

-- xtask: prepares column public.events.id
-- xtask: prepares column public.events.airtable_id
-- xtask: prepares column public.events.event_name
-- xtask: prepares column public.events.email
-- xtask: prepares constraint events_required_columns on public.events
ALTER TABLE public.events DROP CONSTRAINT IF EXISTS events_required_columns;

-- xtask: prepares constraint events_pkey on public.events
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.events AS t
    WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.events_pkey') AND indisvalid)
), changed AS (
    UPDATE public.events AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'events', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

-- xtask: prepares constraint events_pkey on public.events
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS events_pkey ON public.events (id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'events_pkey'
                       AND conrelid = 'public.events'::regclass) THEN
        ALTER TABLE public.events ADD CONSTRAINT events_pkey PRIMARY KEY USING INDEX events_pkey;
    END IF;
END $$;

-- admins

-- xtask: prepares constraint admins_airtable_id_key on public.admins
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY airtable_id ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.admins
    WHERE airtable_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.admins_airtable_id_key') AND indisvalid)
), removed AS (
    DELETE FROM public.admins AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'duplicate airtable_id: the row synced or updated last was kept' FROM removed;

-- xtask: prepares constraint admins_airtable_id_key on public.admins
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS admins_airtable_id_key ON public.admins (airtable_id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE conname = 'admins_airtable_id_key' AND conrelid = 'public.admins'::regclass) THEN
        ALTER TABLE public.admins ADD CONSTRAINT admins_airtable_id_key UNIQUE USING INDEX admins_airtable_id_key;
    END IF;
END $$;

-- xtask: prepares constraint admins_email_key on public.admins
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY email ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.admins
    WHERE email IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.admins_email_key') AND indisvalid)
), removed AS (
    DELETE FROM public.admins AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'duplicate email: the row synced or updated last was kept' FROM removed;

-- xtask: prepares constraint admins_email_key on public.admins
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS admins_email_key ON public.admins (email);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE conname = 'admins_email_key' AND conrelid = 'public.admins'::regclass) THEN
        ALTER TABLE public.admins ADD CONSTRAINT admins_email_key UNIQUE USING INDEX admins_email_key;
    END IF;
END $$;

-- xtask: prepares column public.admins.id
-- xtask: prepares column public.admins.airtable_id
-- xtask: prepares column public.admins.email
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.admins'::regclass
               AND attname IN ('id', 'airtable_id', 'email') AND NOT attnotnull)
       AND NOT EXISTS (SELECT FROM pg_constraint
                       WHERE conname = 'admins_required_columns' AND conrelid = 'public.admins'::regclass) THEN
        ALTER TABLE public.admins ADD CONSTRAINT admins_required_columns
            CHECK (id IS NOT NULL AND airtable_id IS NOT NULL AND email IS NOT NULL) NOT VALID;
    END IF;
END $$;

-- xtask: prepares column public.admins.id
-- xtask: prepares column public.admins.airtable_id
-- xtask: prepares column public.admins.email
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.admins AS t
    WHERE (id IS NULL OR airtable_id IS NULL OR email IS NULL)
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.admins'::regclass
                  AND attname IN ('id', 'airtable_id', 'email') AND NOT attnotnull)
), filled AS (
    UPDATE public.admins AS t
    SET id = coalesce(t.id, uuid_generate_v4()),
        airtable_id = coalesce(t.airtable_id, 'missing-' || uuid_generate_v4()),
        email = coalesce(t.email, 'missing-' || uuid_generate_v4() || '@missing.invalid')
    FROM lacking WHERE t.ctid = lacking.ctid
    RETURNING lacking.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'required value missing: the row stays in its table with a placeholder' FROM filled;

-- xtask: prepares column public.admins.id
-- xtask: prepares column public.admins.airtable_id
-- xtask: prepares column public.admins.email
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint
               WHERE conname = 'admins_required_columns' AND conrelid = 'public.admins'::regclass
                   AND NOT convalidated) THEN
        ALTER TABLE public.admins VALIDATE CONSTRAINT admins_required_columns;
    END IF;
END $$;

ALTER TABLE public.admins ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.admins ALTER COLUMN airtable_id SET NOT NULL;
ALTER TABLE public.admins ALTER COLUMN email SET NOT NULL;

-- xtask: prepares column public.admins.id
-- xtask: prepares column public.admins.airtable_id
-- xtask: prepares column public.admins.email
-- xtask: prepares constraint admins_required_columns on public.admins
ALTER TABLE public.admins DROP CONSTRAINT IF EXISTS admins_required_columns;

-- xtask: prepares constraint admins_pkey on public.admins
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.admins AS t
    WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.admins_pkey') AND indisvalid)
), changed AS (
    UPDATE public.admins AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

-- xtask: prepares constraint admins_pkey on public.admins
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS admins_pkey ON public.admins (id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'admins_pkey'
                       AND conrelid = 'public.admins'::regclass) THEN
        ALTER TABLE public.admins ADD CONSTRAINT admins_pkey PRIMARY KEY USING INDEX admins_pkey;
    END IF;
END $$;

-- attendees

-- xtask: prepares constraint attendees_airtable_id_key on public.attendees
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY airtable_id ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.attendees
    WHERE airtable_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.attendees_airtable_id_key') AND indisvalid)
), removed AS (
    DELETE FROM public.attendees AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'duplicate airtable_id: the row synced or updated last was kept' FROM removed;

-- xtask: prepares constraint attendees_airtable_id_key on public.attendees
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS attendees_airtable_id_key ON public.attendees (airtable_id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE conname = 'attendees_airtable_id_key' AND conrelid = 'public.attendees'::regclass) THEN
        ALTER TABLE public.attendees ADD CONSTRAINT attendees_airtable_id_key UNIQUE USING INDEX attendees_airtable_id_key;
    END IF;
END $$;

-- xtask: prepares column public.attendees.id
-- xtask: prepares column public.attendees.airtable_id
-- xtask: prepares column public.attendees.email
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.attendees'::regclass
               AND attname IN ('id', 'airtable_id', 'email') AND NOT attnotnull)
       AND NOT EXISTS (SELECT FROM pg_constraint
                       WHERE conname = 'attendees_required_columns' AND conrelid = 'public.attendees'::regclass) THEN
        ALTER TABLE public.attendees ADD CONSTRAINT attendees_required_columns
            CHECK (id IS NOT NULL AND airtable_id IS NOT NULL AND email IS NOT NULL) NOT VALID;
    END IF;
END $$;

-- xtask: prepares column public.attendees.id
-- xtask: prepares column public.attendees.airtable_id
-- xtask: prepares column public.attendees.email
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.attendees AS t
    WHERE (id IS NULL OR airtable_id IS NULL OR email IS NULL)
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.attendees'::regclass
                  AND attname IN ('id', 'airtable_id', 'email') AND NOT attnotnull)
), filled AS (
    UPDATE public.attendees AS t
    SET id = coalesce(t.id, uuid_generate_v4()),
        airtable_id = coalesce(t.airtable_id, 'missing-' || uuid_generate_v4()),
        email = coalesce(t.email, 'missing-' || uuid_generate_v4() || '@missing.invalid')
    FROM lacking WHERE t.ctid = lacking.ctid
    RETURNING lacking.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'required value missing: the row stays in its table with a placeholder' FROM filled;

-- xtask: prepares column public.attendees.id
-- xtask: prepares column public.attendees.airtable_id
-- xtask: prepares column public.attendees.email
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint
               WHERE conname = 'attendees_required_columns' AND conrelid = 'public.attendees'::regclass
                   AND NOT convalidated) THEN
        ALTER TABLE public.attendees VALIDATE CONSTRAINT attendees_required_columns;
    END IF;
END $$;

ALTER TABLE public.attendees ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.attendees ALTER COLUMN airtable_id SET NOT NULL;
ALTER TABLE public.attendees ALTER COLUMN email SET NOT NULL;

-- xtask: prepares column public.attendees.id
-- xtask: prepares column public.attendees.airtable_id
-- xtask: prepares column public.attendees.email
-- xtask: prepares constraint attendees_required_columns on public.attendees
ALTER TABLE public.attendees DROP CONSTRAINT IF EXISTS attendees_required_columns;

-- xtask: prepares constraint attendees_pkey on public.attendees
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.attendees AS t
    WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.attendees_pkey') AND indisvalid)
), changed AS (
    UPDATE public.attendees AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

-- xtask: prepares constraint attendees_pkey on public.attendees
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS attendees_pkey ON public.attendees (id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'attendees_pkey'
                       AND conrelid = 'public.attendees'::regclass) THEN
        ALTER TABLE public.attendees ADD CONSTRAINT attendees_pkey PRIMARY KEY USING INDEX attendees_pkey;
    END IF;
END $$;

-- The foreign key stands before its clean-up, NOT VALID: from then on no new orphan comes while the old ones are repaired.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE conrelid = 'public.attendees'::regclass AND conname = 'attendees_event_airtable_id_fkey') THEN
        ALTER TABLE public.attendees ADD CONSTRAINT attendees_event_airtable_id_fkey
            FOREIGN KEY (event_airtable_id) REFERENCES public.events (airtable_id) ON DELETE CASCADE NOT VALID;
    END IF;
END $$;

-- An attendee of an event that is not there stays, without the link; the quarantine tells which event it was.
-- xtask: prepares constraint attendees_event_airtable_id_fkey on public.attendees
WITH orphaned AS (
    SELECT a.ctid, to_jsonb(a) AS row_data FROM public.attendees AS a
    WHERE a.event_airtable_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM public.events AS e WHERE e.airtable_id = a.event_airtable_id)
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.attendees'::regclass
                          AND conname = 'attendees_event_airtable_id_fkey' AND convalidated)
), unlinked AS (
    UPDATE public.attendees AS a SET event_airtable_id = NULL FROM orphaned WHERE a.ctid = orphaned.ctid
    RETURNING orphaned.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'event does not exist: the row stays in its table without the link' FROM unlinked;

ALTER TABLE public.attendees VALIDATE CONSTRAINT attendees_event_airtable_id_fkey;

-- sync_metadata

-- xtask: prepares constraint sync_metadata_table_name_key on public.sync_metadata
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY table_name ORDER BY
            last_sync_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.sync_metadata
    WHERE table_name IS NOT NULL
      AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.sync_metadata_table_name_key') AND indisvalid)
), removed AS (
    DELETE FROM public.sync_metadata AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'duplicate table_name: the newest row was kept' FROM removed;

-- xtask: prepares constraint sync_metadata_table_name_key on public.sync_metadata
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS sync_metadata_table_name_key ON public.sync_metadata (table_name);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint
                   WHERE conname = 'sync_metadata_table_name_key' AND conrelid = 'public.sync_metadata'::regclass) THEN
        ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_table_name_key UNIQUE USING INDEX sync_metadata_table_name_key;
    END IF;
END $$;

-- xtask: prepares column public.sync_metadata.id
-- xtask: prepares column public.sync_metadata.table_name
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.sync_metadata'::regclass
               AND attname IN ('id', 'table_name') AND NOT attnotnull)
       AND NOT EXISTS (SELECT FROM pg_constraint
                       WHERE conname = 'sync_metadata_required_columns' AND conrelid = 'public.sync_metadata'::regclass) THEN
        ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_required_columns
            CHECK (id IS NOT NULL AND table_name IS NOT NULL) NOT VALID;
    END IF;
END $$;

-- xtask: prepares column public.sync_metadata.id
-- xtask: prepares column public.sync_metadata.table_name
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.sync_metadata AS t
    WHERE (id IS NULL OR table_name IS NULL)
      AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'public.sync_metadata'::regclass
                  AND attname IN ('id', 'table_name') AND NOT attnotnull)
), filled AS (
    UPDATE public.sync_metadata AS t
    SET id = coalesce(t.id, uuid_generate_v4()),
        table_name = coalesce(t.table_name, 'missing-' || uuid_generate_v4())
    FROM lacking WHERE t.ctid = lacking.ctid
    RETURNING lacking.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'required value missing: the row stays in its table with a placeholder' FROM filled;

-- xtask: prepares column public.sync_metadata.id
-- xtask: prepares column public.sync_metadata.table_name
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_constraint
               WHERE conname = 'sync_metadata_required_columns' AND conrelid = 'public.sync_metadata'::regclass
                   AND NOT convalidated) THEN
        ALTER TABLE public.sync_metadata VALIDATE CONSTRAINT sync_metadata_required_columns;
    END IF;
END $$;

ALTER TABLE public.sync_metadata ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.sync_metadata ALTER COLUMN table_name SET NOT NULL;

-- xtask: prepares column public.sync_metadata.id
-- xtask: prepares column public.sync_metadata.table_name
-- xtask: prepares constraint sync_metadata_required_columns on public.sync_metadata
ALTER TABLE public.sync_metadata DROP CONSTRAINT IF EXISTS sync_metadata_required_columns;

-- xtask: prepares constraint sync_metadata_pkey on public.sync_metadata
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.sync_metadata AS t
    WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass('public.sync_metadata_pkey') AND indisvalid)
), changed AS (
    UPDATE public.sync_metadata AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

-- xtask: prepares constraint sync_metadata_pkey on public.sync_metadata
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS sync_metadata_pkey ON public.sync_metadata (id);

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'sync_metadata_pkey'
                       AND conrelid = 'public.sync_metadata'::regclass) THEN
        ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_pkey PRIMARY KEY USING INDEX sync_metadata_pkey;
    END IF;
END $$;
