-- Phase 04: columns that were added later.
--
-- To add one: ALTER TABLE … ADD COLUMN, nullable; NOT NULL is phase 06. A constant DEFAULT may stand here: PostgreSQL
-- fills existing rows without rewriting the table. Any other is set by a statement of its own, so that existing rows stay
-- NULL.

ALTER TABLE public.events
    ADD COLUMN max_attendees integer;

ALTER TABLE public.attendees
    ADD COLUMN deleted_in_cockpit boolean DEFAULT false,
    ADD COLUMN event_volunteer boolean DEFAULT false,
    ADD COLUMN shirt_size varchar(50),
    ADD COLUMN additional_accommodations text,
    ADD COLUMN dietary_restrictions text,
    ADD COLUMN emergency_contact_1_name varchar(255),
    ADD COLUMN emergency_contact_1_phone varchar(50),
    ADD COLUMN checkin_completed boolean DEFAULT false,
    ADD COLUMN scanned_in boolean DEFAULT false,
    ADD COLUMN referral_information text;
