-- How far the session $1 has come with building an index, and for whom it waits in a phase that waits for others.
SELECT p.phase
       || CASE WHEN p.blocks_total > 0 THEN ' ' || 100 * p.blocks_done / p.blocks_total || ' %' ELSE '' END
       || CASE WHEN p.lockers_total > 0 THEN ' (' || p.lockers_done || ' of ' || p.lockers_total || ' gone'
                || coalesce(', now pid ' || nullif(p.current_locker_pid, 0), '') || ')' ELSE '' END AS progress
FROM pg_catalog.pg_stat_progress_create_index AS p
WHERE p.pid = $1
