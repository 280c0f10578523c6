-- Which relations of this database readers are kept out of: somebody has an ACCESS EXCLUSIVE lock, or stands in the
-- queue for one, and who. An index counts as its table, and so does what keeps long values. Besides, the views that read
-- such a relation: their definitions cannot be had either.
WITH held AS (
    SELECT coalesce(i.indrelid, t.oid, l.relation) AS relation, l.granted, l.pid, l.virtualtransaction
    FROM pg_catalog.pg_locks AS l
    LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = l.relation
    LEFT JOIN pg_catalog.pg_class AS t ON t.reltoastrelid = l.relation AND t.reltoastrelid <> 0
    WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock'
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database())
      AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
), reader AS (
    SELECT DISTINCT w.ev_class AS relation, d.refobjid AS of
    FROM pg_catalog.pg_depend AS d
    JOIN pg_catalog.pg_rewrite AS w ON w.oid = d.objid
    WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjid IN (SELECT h.relation FROM held AS h) AND w.ev_class <> d.refobjid
), unreadable AS (
    SELECT h.*, NULL::pg_catalog.oid AS of FROM held AS h
    UNION ALL
    SELECT r.relation, h.granted, h.pid, h.virtualtransaction, r.of FROM held AS h JOIN reader AS r ON r.of = h.relation
)
SELECT DISTINCT ON (u.relation)
       u.relation,
       CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
           WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS identity,
       c.oid < 16384 AS system, u.of IS NOT NULL AS reads, u.granted,
       coalesce(u.pid, 0) AS pid, a.usename::text AS user_name, a.application_name AS application, a.state,
       extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::double precision AS seconds,
       pg_catalog.regexp_replace(pg_catalog.left(a.query, 500), '\s+', ' ', 'g') AS query,
       u.virtualtransaction AS transaction
FROM unreadable AS u
JOIN pg_catalog.pg_class AS c ON c.oid = u.relation
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = u.pid
ORDER BY u.relation, u.of NULLS FIRST, u.granted DESC
