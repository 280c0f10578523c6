-- Phase 02: enum types.
--
-- Each type is created with the labels of the oldest database known; every later label is a statement of its own.
-- To add one: `ALTER TYPE ... ADD VALUE IF NOT EXISTS`, with BEFORE or AFTER wherever it is not the last, since the
-- order of the labels is the order in which rows sort and has to be the same in all databases. A statement that uses
-- the label (a default, an UPDATE) must be another one: PostgreSQL refuses a label that is not committed yet.
-- Labels cannot be removed.

DO $$ BEGIN
    IF to_regtype('public.event_format_type') IS NULL THEN
        CREATE TYPE public.event_format_type AS ENUM ('12-hours', '24-hours');
    END IF;
END $$;

ALTER TYPE public.event_format_type ADD VALUE IF NOT EXISTS '2-day' AFTER '24-hours';

DO $$ BEGIN
    IF to_regtype('public.triage_status_type') IS NULL THEN
        CREATE TYPE public.triage_status_type AS ENUM ('approved', 'rejected', 'pending');
    END IF;
END $$;

ALTER TYPE public.triage_status_type ADD VALUE IF NOT EXISTS 'hold' AFTER 'rejected';

ALTER TYPE public.triage_status_type ADD VALUE IF NOT EXISTS 'ask' AFTER 'hold';

ALTER TYPE public.triage_status_type ADD VALUE IF NOT EXISTS 'denied' AFTER 'pending';

ALTER TYPE public.triage_status_type ADD VALUE IF NOT EXISTS 'merge_confirmed' AFTER 'denied';

DO $$ BEGIN
    IF to_regtype('public.user_status_type') IS NULL THEN
        CREATE TYPE public.user_status_type AS ENUM ('active', 'admin', 'inactive');
    END IF;
END $$;
