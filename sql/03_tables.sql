-- Phase 03: tables.
--
-- A table begins without columns: phase 04 adds each of them by a statement of its own, on an empty database as on an
-- old one. So a column is declared in one place only, and a database that lacks one runs that statement and no other.
-- (What stands inside CREATE TABLE IF NOT EXISTS never reaches a table that exists already.)
--
-- To add a table: its name here, its columns in phase 04, NOT NULL and its keys in phase 06. readonly_user may read
-- it from the start (phase 08).

-- Events, as they stand in Airtable.
CREATE TABLE IF NOT EXISTS public.events ();

-- People who may use the admin console.
CREATE TABLE IF NOT EXISTS public.admins ();

-- People registered for an event, linked to it by the event's airtable_id.
CREATE TABLE IF NOT EXISTS public.attendees ();

-- One row for each table that is synchronised from Airtable: when and how the last sync ended.
CREATE TABLE IF NOT EXISTS public.sync_metadata ();

-- Every row that a clean-up removed from its table or changed there, as it was before. Written in the same statement
-- as the removal or change; emptied by nobody but an operator.
CREATE TABLE IF NOT EXISTS public.quarantined_rows ();

COMMENT ON TABLE public.quarantined_rows IS
    'Rows that the clean-up of a migration removed or changed, as they were before, with the reason';
