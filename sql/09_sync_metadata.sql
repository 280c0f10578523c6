-- Phase 09: a row of sync_metadata for every table that is synchronised from Airtable.
--
-- To add a table: a statement like these. They run at each migration (`always`) and leave a row that is there as it is, so that
-- after a reset (DELETE FROM sync_metadata) the rows come back. A table that was never synced says so: no time, and
-- 'pending' instead of the column's default, 'success'.

-- xtask: always
INSERT INTO public.sync_metadata (table_name, last_sync_at, last_sync_status)
VALUES ('events', NULL, 'pending') ON CONFLICT (table_name) DO NOTHING;

-- xtask: always
INSERT INTO public.sync_metadata (table_name, last_sync_at, last_sync_status)
VALUES ('admins', NULL, 'pending') ON CONFLICT (table_name) DO NOTHING;

-- xtask: always
INSERT INTO public.sync_metadata (table_name, last_sync_at, last_sync_status)
VALUES ('attendees', NULL, 'pending') ON CONFLICT (table_name) DO NOTHING;
