-- Phase 03: tables, whole. NOT NULL and keys follow in phase 06, after the clean-up that old rows need for them.
--
-- To add a column: write it here while the table is new, later in phase 04. Rows that are there get a default only if it
-- is a constant: a row that was there before `synced_at` was not synced just now, and phase 06 has to know which of two
-- duplicates is newer. readonly_user may read a new table from the start (phase 08).

-- Events, as they stand in Airtable.
CREATE TABLE public.events (
    id uuid DEFAULT uuid_generate_v4(),
    airtable_id varchar(255),
    event_name varchar(500),
    poc_first_name varchar(255),
    poc_last_name varchar(255),
    poc_preferred_name varchar(255),
    poc_slack_id varchar(255),
    poc_dob date,
    poc_age integer,
    email varchar(500),
    location varchar(500),
    slug varchar(255),
    street_address varchar(500),
    street_address_2 varchar(500),
    city varchar(255),
    state varchar(255),
    country varchar(255),
    zipcode varchar(20),
    event_format public.event_format_type,
    sub_organizers text,
    estimated_attendee_count integer,
    project_url text,
    project_description text,
    lat numeric(10, 8),
    long numeric(11, 8),
    triage_status public.triage_status_type DEFAULT 'pending',
    start_date date,
    end_date date,
    registration_deadline date,
    notes text,
    action_trigger_approval_email varchar(500),
    action_trigger_rejection_email varchar(500),
    action_trigger_hold_email varchar(500),
    action_trigger_ask_email varchar(500),
    has_confirmed_venue boolean DEFAULT false,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    synced_at timestamptz DEFAULT now()
);

-- People who may use the admin console.
CREATE TABLE public.admins (
    id uuid DEFAULT uuid_generate_v4(),
    airtable_id varchar(255),
    email varchar(500),
    first_name varchar(255),
    last_name varchar(255),
    user_status public.user_status_type DEFAULT 'inactive',
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    synced_at timestamptz DEFAULT now()
);

-- People registered for an event, linked to it by the event's airtable_id.
CREATE TABLE public.attendees (
    id uuid DEFAULT uuid_generate_v4(),
    airtable_id varchar(255),
    email varchar(500),
    preferred_name varchar(255),
    first_name varchar(255),
    last_name varchar(255),
    dob date,
    phone varchar(50),
    event_airtable_id varchar(255),
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    synced_at timestamptz DEFAULT now()
);

-- One row for each table that is synchronised from Airtable: when and how the last sync ended.
CREATE TABLE public.sync_metadata (
    id uuid DEFAULT uuid_generate_v4(),
    table_name varchar(100),
    last_sync_at timestamptz DEFAULT now(),
    last_sync_status varchar(50) DEFAULT 'success',
    records_synced integer DEFAULT 0,
    errors_count integer DEFAULT 0,
    error_details text,
    created_at timestamptz DEFAULT now()
);
