-- Phase 04: columns, one statement each.
--
-- To add one: `ALTER TABLE ... ADD COLUMN IF NOT EXISTS`, nullable; NOT NULL is phase 06.
-- * A constant DEFAULT may stand in ADD COLUMN: PostgreSQL fills existing rows without rewriting the table. A second
--   statement sets it again for a database that has the column and not the default; its directive keeps it from
--   running anywhere else.
-- * A DEFAULT that would be untrue for existing rows is set by a statement of its own after the column was added, so
--   that they stay NULL: a row that was there before `synced_at` was not synced just now, and phase 06 has to know
--   which of two duplicates is newer.
-- * A volatile DEFAULT (uuid_generate_v4()) is set the same way: in ADD COLUMN it would rewrite the table.

-- events

ALTER TABLE public.events ADD COLUMN IF NOT EXISTS id uuid;
ALTER TABLE public.events ALTER COLUMN id SET DEFAULT uuid_generate_v4();
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS airtable_id varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS event_name varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS poc_first_name varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS poc_last_name varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS poc_preferred_name varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS poc_slack_id varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS poc_dob date;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS poc_age integer;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS email varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS location varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS slug varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS street_address varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS street_address_2 varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS city varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS state varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS country varchar(255);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS zipcode varchar(20);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS event_format public.event_format_type;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS sub_organizers text;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS estimated_attendee_count integer;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS max_attendees integer;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS project_url text;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS project_description text;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS lat numeric(10, 8);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS long numeric(11, 8);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS triage_status public.triage_status_type DEFAULT 'pending';
-- xtask: prepares column public.events.triage_status
ALTER TABLE public.events ALTER COLUMN triage_status SET DEFAULT 'pending';
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS start_date date;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS end_date date;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS registration_deadline date;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS notes text;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS action_trigger_approval_email varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS action_trigger_rejection_email varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS action_trigger_hold_email varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS action_trigger_ask_email varchar(500);
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS has_confirmed_venue boolean DEFAULT false;
-- xtask: prepares column public.events.has_confirmed_venue
ALTER TABLE public.events ALTER COLUMN has_confirmed_venue SET DEFAULT false;
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS created_at timestamptz;
ALTER TABLE public.events ALTER COLUMN created_at SET DEFAULT now();
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS updated_at timestamptz;
ALTER TABLE public.events ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE public.events ADD COLUMN IF NOT EXISTS synced_at timestamptz;
ALTER TABLE public.events ALTER COLUMN synced_at SET DEFAULT now();

-- admins

ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS id uuid;
ALTER TABLE public.admins ALTER COLUMN id SET DEFAULT uuid_generate_v4();
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS airtable_id varchar(255);
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS email varchar(500);
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS first_name varchar(255);
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS last_name varchar(255);
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS user_status public.user_status_type DEFAULT 'inactive';
-- xtask: prepares column public.admins.user_status
ALTER TABLE public.admins ALTER COLUMN user_status SET DEFAULT 'inactive';
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS created_at timestamptz;
ALTER TABLE public.admins ALTER COLUMN created_at SET DEFAULT now();
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS updated_at timestamptz;
ALTER TABLE public.admins ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE public.admins ADD COLUMN IF NOT EXISTS synced_at timestamptz;
ALTER TABLE public.admins ALTER COLUMN synced_at SET DEFAULT now();

-- attendees

ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS id uuid;
ALTER TABLE public.attendees ALTER COLUMN id SET DEFAULT uuid_generate_v4();
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS airtable_id varchar(255);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS email varchar(500);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS preferred_name varchar(255);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS first_name varchar(255);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS last_name varchar(255);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS dob date;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS phone varchar(50);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS event_airtable_id varchar(255);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS deleted_in_cockpit boolean DEFAULT false;
-- xtask: prepares column public.attendees.deleted_in_cockpit
ALTER TABLE public.attendees ALTER COLUMN deleted_in_cockpit SET DEFAULT false;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS event_volunteer boolean DEFAULT false;
-- xtask: prepares column public.attendees.event_volunteer
ALTER TABLE public.attendees ALTER COLUMN event_volunteer SET DEFAULT false;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS shirt_size varchar(50);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS additional_accommodations text;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS dietary_restrictions text;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS emergency_contact_1_name varchar(255);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS emergency_contact_1_phone varchar(50);
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS checkin_completed boolean DEFAULT false;
-- xtask: prepares column public.attendees.checkin_completed
ALTER TABLE public.attendees ALTER COLUMN checkin_completed SET DEFAULT false;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS scanned_in boolean DEFAULT false;
-- xtask: prepares column public.attendees.scanned_in
ALTER TABLE public.attendees ALTER COLUMN scanned_in SET DEFAULT false;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS referral_information text;
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS created_at timestamptz;
ALTER TABLE public.attendees ALTER COLUMN created_at SET DEFAULT now();
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS updated_at timestamptz;
ALTER TABLE public.attendees ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE public.attendees ADD COLUMN IF NOT EXISTS synced_at timestamptz;
ALTER TABLE public.attendees ALTER COLUMN synced_at SET DEFAULT now();

-- sync_metadata

ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS id uuid;
ALTER TABLE public.sync_metadata ALTER COLUMN id SET DEFAULT uuid_generate_v4();
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS table_name varchar(100);
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS last_sync_at timestamptz;
ALTER TABLE public.sync_metadata ALTER COLUMN last_sync_at SET DEFAULT now();
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS last_sync_status varchar(50);
ALTER TABLE public.sync_metadata ALTER COLUMN last_sync_status SET DEFAULT 'success';
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS records_synced integer DEFAULT 0;
-- xtask: prepares column public.sync_metadata.records_synced
ALTER TABLE public.sync_metadata ALTER COLUMN records_synced SET DEFAULT 0;
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS errors_count integer DEFAULT 0;
-- xtask: prepares column public.sync_metadata.errors_count
ALTER TABLE public.sync_metadata ALTER COLUMN errors_count SET DEFAULT 0;
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS error_details text;
ALTER TABLE public.sync_metadata ADD COLUMN IF NOT EXISTS created_at timestamptz;
ALTER TABLE public.sync_metadata ALTER COLUMN created_at SET DEFAULT now();

-- quarantined_rows

ALTER TABLE public.quarantined_rows ADD COLUMN IF NOT EXISTS id uuid;
ALTER TABLE public.quarantined_rows ALTER COLUMN id SET DEFAULT uuid_generate_v4();
ALTER TABLE public.quarantined_rows ADD COLUMN IF NOT EXISTS table_name varchar(100);
ALTER TABLE public.quarantined_rows ADD COLUMN IF NOT EXISTS row_data jsonb;
ALTER TABLE public.quarantined_rows ADD COLUMN IF NOT EXISTS reason text;
ALTER TABLE public.quarantined_rows ADD COLUMN IF NOT EXISTS quarantined_at timestamptz;
ALTER TABLE public.quarantined_rows ALTER COLUMN quarantined_at SET DEFAULT now();

-- The constraints of quarantined_rows stand here and not in phase 06, whose clean-ups write to it.

-- xtask: prepares column public.quarantined_rows.id
-- xtask: prepares column public.quarantined_rows.table_name
-- xtask: prepares column public.quarantined_rows.row_data
-- xtask: prepares column public.quarantined_rows.reason
-- xtask: prepares column public.quarantined_rows.quarantined_at
UPDATE public.quarantined_rows AS t
    SET id = coalesce(t.id, uuid_generate_v4()),
        table_name = coalesce(t.table_name, 'unknown'),
        row_data = coalesce(t.row_data, '{}'),
        reason = coalesce(t.reason, 'unknown'),
        quarantined_at = coalesce(t.quarantined_at, now())
WHERE id IS NULL OR table_name IS NULL OR row_data IS NULL OR reason IS NULL OR quarantined_at IS NULL;

ALTER TABLE public.quarantined_rows ALTER COLUMN id SET NOT NULL;
ALTER TABLE public.quarantined_rows ALTER COLUMN table_name SET NOT NULL;
ALTER TABLE public.quarantined_rows ALTER COLUMN row_data SET NOT NULL;
ALTER TABLE public.quarantined_rows ALTER COLUMN reason SET NOT NULL;
ALTER TABLE public.quarantined_rows ALTER COLUMN quarantined_at SET NOT NULL;

ALTER TABLE public.quarantined_rows ADD CONSTRAINT quarantined_rows_pkey PRIMARY KEY (id);
