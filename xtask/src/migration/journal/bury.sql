-- Called while the mutex is held: whatever is on record as running cannot be.
UPDATE migration.runs
SET outcome = 'died', error = coalesce(error, 'the process ended without a word (killed, or its connection was lost)')
WHERE outcome = 'running'
RETURNING id
