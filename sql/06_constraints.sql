-- Phase 06: constraints. The lines above each say what happens to old rows that it refuses: as they were, they go to the
-- engine's quarantine (migration.quarantine).
--
-- Of duplicates the row stays that was synced or updated last. It is coalesce and not greatest: Airtable is the source,
-- and a row that was synced lately is newer than a stale copy that was inserted (and so "updated") after it. A row without
-- an id, an airtable_id, a name or an address stays in its table, with a placeholder that nobody can have: .invalid is
-- reserved, no mail goes there and nobody logs in by it.

-- events

-- xtask: duplicates keep latest by coalesce(synced_at, updated_at, created_at), updated_at, created_at
ALTER TABLE public.events ADD CONSTRAINT events_airtable_id_key UNIQUE (airtable_id);

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.events ALTER COLUMN id SET NOT NULL;

-- xtask: violations set airtable_id = 'missing-' || uuid_generate_v4()
ALTER TABLE public.events ALTER COLUMN airtable_id SET NOT NULL;

-- xtask: violations set event_name = '(name missing)'
ALTER TABLE public.events ALTER COLUMN event_name SET NOT NULL;

-- xtask: violations set email = 'missing-' || uuid_generate_v4() || '@missing.invalid'
ALTER TABLE public.events ALTER COLUMN email SET NOT NULL;

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.events ADD CONSTRAINT events_pkey PRIMARY KEY (id);

-- admins

-- xtask: duplicates keep latest by coalesce(synced_at, updated_at, created_at), updated_at, created_at
ALTER TABLE public.admins ADD CONSTRAINT admins_airtable_id_key UNIQUE (airtable_id);

-- xtask: duplicates keep latest by coalesce(synced_at, updated_at, created_at), updated_at, created_at
ALTER TABLE public.admins ADD CONSTRAINT admins_email_key UNIQUE (email);

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.admins ALTER COLUMN id SET NOT NULL;

-- xtask: violations set airtable_id = 'missing-' || uuid_generate_v4()
ALTER TABLE public.admins ALTER COLUMN airtable_id SET NOT NULL;

-- xtask: violations set email = 'missing-' || uuid_generate_v4() || '@missing.invalid'
ALTER TABLE public.admins ALTER COLUMN email SET NOT NULL;

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.admins ADD CONSTRAINT admins_pkey PRIMARY KEY (id);

-- attendees

-- xtask: duplicates keep latest by coalesce(synced_at, updated_at, created_at), updated_at, created_at
ALTER TABLE public.attendees ADD CONSTRAINT attendees_airtable_id_key UNIQUE (airtable_id);

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.attendees ALTER COLUMN id SET NOT NULL;

-- xtask: violations set airtable_id = 'missing-' || uuid_generate_v4()
ALTER TABLE public.attendees ALTER COLUMN airtable_id SET NOT NULL;

-- xtask: violations set email = 'missing-' || uuid_generate_v4() || '@missing.invalid'
ALTER TABLE public.attendees ALTER COLUMN email SET NOT NULL;

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.attendees ADD CONSTRAINT attendees_pkey PRIMARY KEY (id);

-- An attendee of an event that is not there stays, without the link; the quarantine tells which event it was.
-- xtask: violations set null
ALTER TABLE public.attendees ADD CONSTRAINT attendees_event_airtable_id_fkey
    FOREIGN KEY (event_airtable_id) REFERENCES public.events (airtable_id) ON DELETE CASCADE;

-- sync_metadata

-- xtask: duplicates keep latest by last_sync_at, created_at
ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_table_name_key UNIQUE (table_name);

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.sync_metadata ALTER COLUMN id SET NOT NULL;

-- xtask: violations set table_name = 'missing-' || uuid_generate_v4()
ALTER TABLE public.sync_metadata ALTER COLUMN table_name SET NOT NULL;

-- xtask: violations set id = uuid_generate_v4()
ALTER TABLE public.sync_metadata ADD CONSTRAINT sync_metadata_pkey PRIMARY KEY (id);
