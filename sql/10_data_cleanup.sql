-- Phase 10: clean-up of data that no constraint needs. What a constraint needs (duplicates, orphans, missing values)
-- is repaired in phase 06, right before it.
--
-- To add one: a plain UPDATE or DELETE. It runs at each migration (`always`), so an index has to serve its condition, on
-- tables of millions of rows; once repaired, a row no longer meets the condition. No row is deleted or overwritten for
-- good (`quarantine`): the engine keeps it as it was, in migration.quarantine.

-- An event without a status is in nobody's queue. (idx_events_triage_status)
-- xtask: always
-- xtask: quarantine
UPDATE public.events SET triage_status = 'pending' WHERE triage_status IS NULL;

-- An admin without a status has no rights; the row says so. (idx_admins_user_status)
-- xtask: always
-- xtask: quarantine
UPDATE public.admins SET user_status = 'inactive' WHERE user_status IS NULL;

-- Counters that a sync adds to: NULL plus one stays NULL. (A table of a few rows.)
-- xtask: always
-- xtask: quarantine
UPDATE public.sync_metadata SET records_synced = coalesce(records_synced, 0), errors_count = coalesce(errors_count, 0)
WHERE records_synced IS NULL OR errors_count IS NULL;
