-- Phase 10: clean-up of data that no constraint needs. What a constraint needs (duplicates, orphans, missing values)
-- is repaired in phase 06, right before it.
--
-- To add one: it runs at each migration (`always`), so an index has to serve its condition, on tables of millions of rows; once
-- repaired, a row no longer meets the condition. No row is deleted or overwritten for good: as it was, it goes to
-- quarantined_rows in the same statement.

-- An event without a status is in nobody's queue. (idx_events_triage_status)
-- xtask: always
WITH unset AS (
    SELECT ctid, to_jsonb(e) AS row_data FROM public.events AS e WHERE triage_status IS NULL
), changed AS (
    UPDATE public.events AS e SET triage_status = 'pending' FROM unset WHERE e.ctid = unset.ctid
    RETURNING unset.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'events', row_data, 'triage_status was missing: set to pending' FROM changed;

-- An admin without a status has no rights; the row says so. (idx_admins_user_status)
-- xtask: always
WITH unset AS (
    SELECT ctid, to_jsonb(a) AS row_data FROM public.admins AS a WHERE user_status IS NULL
), changed AS (
    UPDATE public.admins AS a SET user_status = 'inactive' FROM unset WHERE a.ctid = unset.ctid
    RETURNING unset.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'admins', row_data, 'user_status was missing: set to inactive' FROM changed;

-- Counters that a sync adds to: NULL plus one stays NULL. (A table of a few rows.)
-- xtask: always
WITH unset AS (
    SELECT ctid, to_jsonb(s) AS row_data FROM public.sync_metadata AS s
    WHERE records_synced IS NULL OR errors_count IS NULL
), changed AS (
    UPDATE public.sync_metadata AS s
    SET records_synced = coalesce(s.records_synced, 0), errors_count = coalesce(s.errors_count, 0)
    FROM unset WHERE s.ctid = unset.ctid
    RETURNING unset.row_data
)
INSERT INTO public.quarantined_rows (table_name, row_data, reason)
SELECT 'sync_metadata', row_data, 'a counter was missing: set to 0' FROM changed;
