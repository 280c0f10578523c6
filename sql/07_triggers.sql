-- Phase 07: triggers. Every table that has updated_at sets it by itself whenever a row is updated.
--
-- To add one: `CREATE OR REPLACE TRIGGER update_<table>_updated_at`, never DROP and CREATE, between which writes would
-- miss it. Replacing also repairs a trigger of that name that calls another function or is disabled.

CREATE OR REPLACE FUNCTION public.update_updated_at_column() RETURNS trigger
LANGUAGE plpgsql
AS $$ BEGIN NEW.updated_at = now(); RETURN NEW; END; $$;

CREATE OR REPLACE TRIGGER update_events_updated_at BEFORE UPDATE ON public.events
FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE OR REPLACE TRIGGER update_admins_updated_at BEFORE UPDATE ON public.admins
FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();

CREATE OR REPLACE TRIGGER update_attendees_updated_at BEFORE UPDATE ON public.attendees
FOR EACH ROW EXECUTE FUNCTION public.update_updated_at_column();
