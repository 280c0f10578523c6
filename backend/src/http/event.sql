SELECT e.airtable_id,
       e.event_name,
       e.slug,
       e.city,
       e.state,
       e.country,
       pg_catalog.round(e.lat, 2)::double precision,
       pg_catalog.round(e.long, 2)::double precision,
       e.event_format::text,
       pg_catalog.to_char(e.start_date, 'YYYY-MM-DD'),
       pg_catalog.to_char(e.end_date, 'YYYY-MM-DD'),
       pg_catalog.to_char(e.registration_deadline, 'YYYY-MM-DD'),
       e.estimated_attendee_count,
       e.max_attendees,
       e.has_confirmed_venue,
       pg_catalog.to_char(e.updated_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  FROM public.events AS e
 WHERE e.triage_status = 'approved'
   AND e.airtable_id = $1
