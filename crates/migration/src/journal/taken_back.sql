-- The run that took back the version $1, unless a run has brought the database to it again; and which run that was.
SELECT u.id AS by_run, x.id AS run, pg_catalog.concat_ws('@', coalesce(u.os_user, u.database_user), u.host) AS who,
       pg_catalog.to_char(u.started, 'YYYY-MM-DD HH24:MI TZ') AS started
FROM migration.runs AS u JOIN migration.runs AS x ON x.id = ANY (u.undoes)
WHERE u.undoes <> '{}' AND u.outcome = 'succeeded' AND x.version = $1
  AND NOT EXISTS (SELECT FROM migration.runs AS r WHERE r.version = $1 AND r.id > u.id AND r.outcome = 'succeeded')
ORDER BY u.id DESC
LIMIT 1
