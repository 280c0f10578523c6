-- Of initdb's objects and of extensions' members only what was changed afterwards.
SELECT CASE WHEN p.objsubid > 0 THEN 'column ' ELSE i.type || ' ' END || i.identity,
       p.owner, p.acltype, p.acl,
       coalesce(p.initprivs, pg_catalog.acldefault(p.acltype, p.owner))
FROM (
    SELECT s.*, v.initprivs
    FROM (
        SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, c.oid AS objid, 0 AS objsubid,
               c.relowner AS owner,
               CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS acltype, c.relacl AS acl,
               c.relnamespace AS namespace
        FROM pg_catalog.pg_class c
        UNION ALL
        SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, a.attrelid, a.attnum, c.relowner, 'c', a.attacl, c.relnamespace
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE a.attacl IS NOT NULL
        UNION ALL
        SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, f.oid, 0, f.proowner, 'f', f.proacl, f.pronamespace
        FROM pg_catalog.pg_proc f
        UNION ALL
        SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0, t.typowner, 'T', t.typacl, t.typnamespace
        FROM pg_catalog.pg_type t
        UNION ALL
        SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, 0, n.nspowner, 'n', n.nspacl, n.oid
        FROM pg_catalog.pg_namespace n
        UNION ALL
        SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, 0, l.lanowner, 'l', l.lanacl,
               CASE WHEN l.oid < 16384 THEN 'pg_catalog'::pg_catalog.regnamespace END
        FROM pg_catalog.pg_language l
        UNION ALL
        SELECT 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, 0, w.fdwowner, 'F', w.fdwacl, NULL
        FROM pg_catalog.pg_foreign_data_wrapper w
    ) s
    LEFT JOIN pg_catalog.pg_init_privs v
        ON v.classoid = s.classid AND v.objoid = s.objid AND v.objsubid = s.objsubid
    WHERE s.acl IS NOT NULL AND s.acl IS DISTINCT FROM v.initprivs
) p
CROSS JOIN LATERAL pg_catalog.pg_identify_object(p.classid, p.objid, p.objsubid) i
WHERE p.namespace = 'pg_catalog'::pg_catalog.regnamespace
   OR (p.classid, p.objid) IN (SELECT m.classid, m.objid FROM member m)
