-- Of servers that are newer than this program: kinds that it does not know.
SELECT '?pg_class', c.identity, 'relation of kind ' || c.relkind::text
FROM relation c
WHERE c.relkind NOT IN ('r', 'p', 'f', 'v', 'm', 'S', 'i', 'I', 'c', 't')
UNION ALL
SELECT '?pg_constraint', pg_catalog.quote_ident(k.conname) || ' on ' || c.identity,
       'constraint of kind ' || k.contype::text
FROM pg_catalog.pg_constraint k
JOIN relation c ON c.oid = k.conrelid
WHERE k.contype NOT IN ('c', 'f', 'n', 'p', 'u', 't', 'x')
UNION ALL
SELECT '?pg_type', n.name || '.' || pg_catalog.quote_ident(t.typname), 'type of kind ' || t.typtype::text
FROM pg_catalog.pg_type t
JOIN namespace n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND t.typtype NOT IN ('b', 'c', 'd', 'e', 'm', 'p', 'r')
UNION ALL
SELECT '?pg_proc', p.oid::pg_catalog.regprocedure::text, 'routine of kind ' || p.prokind::text
FROM pg_catalog.pg_proc p
JOIN namespace n ON n.oid = p.pronamespace
WHERE p.oid >= 16384 AND p.prokind NOT IN ('a', 'f', 'p', 'w')
UNION ALL
SELECT '?server', pg_catalog.current_setting('server_version'),
       'newer than 18: its catalogs may hold what this program does not know'
WHERE pg_catalog.current_setting('server_version_num')::int >= 190000
