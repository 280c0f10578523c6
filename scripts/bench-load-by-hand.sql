-- What a person would write for the rows of bench-load.sh that the constraints refuse: each is kept as it was, then goes or changes.
CREATE TABLE load.kept (reason text, row_data jsonb);

WITH ranked AS (
    SELECT id, row_number() OVER (PARTITION BY airtable_id
                                  ORDER BY coalesce(synced_at, updated_at, created_at) DESC, updated_at DESC, created_at DESC) AS place
    FROM attendees WHERE airtable_id IS NOT NULL),
gone AS (DELETE FROM attendees AS a USING ranked AS r WHERE a.id = r.id AND r.place > 1 RETURNING a.*)
INSERT INTO load.kept SELECT 'duplicate', to_jsonb(gone) FROM gone;

INSERT INTO load.kept SELECT 'NULL', to_jsonb(a) FROM attendees AS a WHERE airtable_id IS NULL OR email IS NULL;
UPDATE attendees SET airtable_id = 'missing-' || uuid_generate_v4() WHERE airtable_id IS NULL;
UPDATE attendees SET email = 'missing-' || uuid_generate_v4() || '@missing.invalid' WHERE email IS NULL;

INSERT INTO load.kept SELECT 'orphan', to_jsonb(a) FROM attendees AS a
WHERE event_airtable_id IS NOT NULL AND NOT EXISTS (SELECT FROM events AS e WHERE e.airtable_id = a.event_airtable_id);
UPDATE attendees AS a SET event_airtable_id = NULL
WHERE event_airtable_id IS NOT NULL AND NOT EXISTS (SELECT FROM events AS e WHERE e.airtable_id = a.event_airtable_id);
