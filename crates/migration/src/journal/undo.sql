-- The runs that changed something, or took others back; what the run $1 and later ones changed.
SELECT r.id, r.outcome, r.undoes, r.version, pg_catalog.to_char(r.started, 'YYYY-MM-DD HH24:MI TZ') AS started,
       pg_catalog.concat_ws('@', coalesce(r.os_user, r.database_user), r.host) AS who,
       CASE WHEN r.id >= $1 THEN r.changes::text ELSE '[]' END AS changes
FROM migration.runs AS r
WHERE r.changes <> '[]' OR r.undoes <> '{}'
ORDER BY r.id
