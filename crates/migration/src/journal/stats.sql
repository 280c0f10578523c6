-- Of each phase: how many runs did something in it and came to its end, and how long it took them, in milliseconds. In the
-- order of the phases' names, which is that of their numbers.
SELECT t.phase, pg_catalog.count(*) AS runs, pg_catalog.percentile_cont(0.5) WITHIN GROUP (ORDER BY t.time) AS median,
       pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY t.time) AS p95,
       (pg_catalog.array_agg(t.time ORDER BY t.run_id DESC))[1] AS last, pg_catalog.max(t.run_id) AS last_run
FROM (
    SELECT s.phase, s.run_id, extract(epoch FROM pg_catalog.sum(s.duration))::double precision * 1000 AS time
    FROM migration.steps AS s
    GROUP BY s.phase, s.run_id
    HAVING pg_catalog.bool_and(s.outcome NOT IN ('failed', 'interrupted'))) AS t
GROUP BY t.phase
ORDER BY t.phase COLLATE "C"
