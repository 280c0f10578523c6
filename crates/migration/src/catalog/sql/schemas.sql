SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass::pg_catalog.oid, n.oid, 0, 'schema'::text,
       s.name, ''::text, n.nspowner, 'n'::"char", n.nspacl
FROM namespace s
JOIN pg_catalog.pg_namespace n ON n.oid = s.oid
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND m.objid = n.oid)
