-- Phase 05: indexes for what the portal asks. None on a column that a unique constraint serves already (airtable_id,
-- admins.email, sync_metadata.table_name): each index makes every write slower.

CREATE INDEX idx_events_email ON public.events (email);
CREATE INDEX idx_events_triage_status ON public.events (triage_status);
CREATE INDEX idx_events_location ON public.events (location);
CREATE INDEX idx_events_event_format ON public.events (event_format);
CREATE INDEX idx_events_start_date ON public.events (start_date);
CREATE INDEX idx_events_end_date ON public.events (end_date);
CREATE INDEX idx_events_synced_at ON public.events (synced_at);

CREATE INDEX idx_admins_user_status ON public.admins (user_status);
CREATE INDEX idx_admins_synced_at ON public.admins (synced_at);

CREATE INDEX idx_attendees_email ON public.attendees (email);
-- Also finds the attendees of an event that is deleted.
CREATE INDEX idx_attendees_event_airtable_id ON public.attendees (event_airtable_id);
CREATE INDEX idx_attendees_synced_at ON public.attendees (synced_at);

CREATE INDEX idx_sync_metadata_last_sync_at ON public.sync_metadata (last_sync_at);
