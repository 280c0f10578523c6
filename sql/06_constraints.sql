-- Phase 06: constraints, each with the clean-up that it needs right before it.
--
-- Rules of clean-up:
-- * What it takes out or changes goes to quarantined_rows in the same statement, as it was, with the reason.
-- * `xtask: prepares` names the constraint or column; the clean-up runs only while that one is not as expected.
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
), removed AS (
    DELETE FROM public.events AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'events', row_data, 'duplicate airtable_id: the row synced or updated last was kept' FROM removed;

ALTER TABLE public.events ADD CONSTRAINT events_airtable_id_key UNIQUE (airtable_id);

-- xtask: prepares column public.events.id
-- xtask: prepares column public.events.airtable_id
-- xtask: prepares column public.events.event_name
-- xtask: prepares column public.events.email
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.events AS t
    WHERE id IS NULL OR airtable_id IS NULL OR event_name IS NULL OR email IS NULL
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

ALTER TABLE public.events ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.events ALTER COLUMN airtable_id SET NOT NULL;
ALTER TABLE public.events ALTER COLUMN event_name SET NOT NULL;
ALTER TABLE public.events ALTER COLUMN email SET NOT NULL;

-- xtask: prepares constraint events_pkey on public.events
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.events AS t
), changed AS (
    UPDATE public.events AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'events', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

ALTER TABLE public.events ADD CONSTRAINT events_pkey PRIMARY KEY (id);

-- admins

-- xtask: prepares constraint admins_airtable_id_key on public.admins
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY airtable_id ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.admins
    WHERE airtable_id IS NOT NULL
), removed AS (
    DELETE FROM public.admins AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'duplicate airtable_id: the row synced or updated last was kept' FROM removed;

ALTER TABLE public.admins ADD CONSTRAINT admins_airtable_id_key UNIQUE (airtable_id);

-- xtask: prepares constraint admins_email_key on public.admins
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY email ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.admins
    WHERE email IS NOT NULL
), removed AS (
    DELETE FROM public.admins AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'duplicate email: the row synced or updated last was kept' FROM removed;

ALTER TABLE public.admins ADD CONSTRAINT admins_email_key UNIQUE (email);

-- xtask: prepares column public.admins.id
-- xtask: prepares column public.admins.airtable_id
-- xtask: prepares column public.admins.email
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.admins AS t
    WHERE id IS NULL OR airtable_id IS NULL OR email IS NULL
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

ALTER TABLE public.admins ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.admins ALTER COLUMN airtable_id SET NOT NULL;
ALTER TABLE public.admins ALTER COLUMN email SET NOT NULL;

-- xtask: prepares constraint admins_pkey on public.admins
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.admins AS t
), changed AS (
    UPDATE public.admins AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

ALTER TABLE public.admins ADD CONSTRAINT admins_pkey PRIMARY KEY (id);

-- attendees

-- xtask: prepares constraint attendees_airtable_id_key on public.attendees
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY airtable_id ORDER BY
            coalesce(synced_at, updated_at, created_at) DESC NULLS LAST,
            updated_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.attendees
    WHERE airtable_id IS NOT NULL
), removed AS (
    DELETE FROM public.attendees AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'duplicate airtable_id: the row synced or updated last was kept' FROM removed;

ALTER TABLE public.attendees ADD CONSTRAINT attendees_airtable_id_key UNIQUE (airtable_id);

-- xtask: prepares column public.attendees.id
-- xtask: prepares column public.attendees.airtable_id
-- xtask: prepares column public.attendees.email
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.attendees AS t
    WHERE id IS NULL OR airtable_id IS NULL OR email IS NULL
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

ALTER TABLE public.attendees ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.attendees ALTER COLUMN airtable_id SET NOT NULL;
ALTER TABLE public.attendees ALTER COLUMN email SET NOT NULL;

-- xtask: prepares constraint attendees_pkey on public.attendees
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.attendees AS t
), changed AS (
    UPDATE public.attendees AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

ALTER TABLE public.attendees ADD CONSTRAINT attendees_pkey PRIMARY KEY (id);

-- An attendee of an event that is not there stays, without the link; the quarantine tells which event it was.
-- xtask: prepares constraint attendees_event_airtable_id_fkey on public.attendees
WITH orphaned AS (
    SELECT a.ctid, to_jsonb(a) AS row_data FROM public.attendees AS a
    WHERE a.event_airtable_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM public.events AS e WHERE e.airtable_id = a.event_airtable_id)
), unlinked AS (
    UPDATE public.attendees AS a SET event_airtable_id = NULL FROM orphaned WHERE a.ctid = orphaned.ctid
    RETURNING orphaned.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'attendees', row_data, 'event does not exist: the row stays in its table without the link' FROM unlinked;

ALTER TABLE public.attendees ADD CONSTRAINT attendees_event_airtable_id_fkey
    FOREIGN KEY (event_airtable_id) REFERENCES public.events (airtable_id) ON DELETE CASCADE;

-- sync_metadata

-- xtask: prepares constraint sync_metadata_table_name_key on public.sync_metadata
WITH ranked AS (
    SELECT ctid, row_number() OVER (PARTITION BY table_name ORDER BY
            last_sync_at DESC NULLS LAST, created_at DESC NULLS LAST, id, ctid) AS place
    FROM public.sync_metadata
    WHERE table_name IS NOT NULL
), removed AS (
    DELETE FROM public.sync_metadata AS t USING ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING to_jsonb(t) AS row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'duplicate table_name: the newest row was kept' FROM removed;

ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_table_name_key UNIQUE (table_name);

-- xtask: prepares column public.sync_metadata.id
-- xtask: prepares column public.sync_metadata.table_name
WITH lacking AS (
    SELECT ctid, to_jsonb(t) AS row_data FROM public.sync_metadata AS t
    WHERE id IS NULL OR table_name IS NULL
), filled AS (
    UPDATE public.sync_metadata AS t
    SET id = coalesce(t.id, uuid_generate_v4()),
        table_name = coalesce(t.table_name, 'missing-' || uuid_generate_v4())
    FROM lacking WHERE t.ctid = lacking.ctid
    RETURNING lacking.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'required value missing: the row stays in its table with a placeholder' FROM filled;

ALTER TABLE public.sync_metadata ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.sync_metadata ALTER COLUMN table_name SET NOT NULL;

-- xtask: prepares constraint sync_metadata_pkey on public.sync_metadata
WITH ranked AS (
    SELECT ctid, to_jsonb(t) AS row_data, row_number() OVER (PARTITION BY id ORDER BY ctid) AS place
    FROM public.sync_metadata AS t
), changed AS (
    UPDATE public.sync_metadata AS t SET id = uuid_generate_v4() FROM ranked WHERE t.ctid = ranked.ctid AND ranked.place > 1
    RETURNING ranked.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'duplicate id: the row stays in its table with a new one' FROM changed;

ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_pkey PRIMARY KEY (id);
