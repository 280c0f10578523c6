-- Of initdb's objects and of extensions' members only what was changed afterwards.
SELECT CASE WHEN p.objsubid > 0 THEN 'column ' ELSE i.type || ' ' END || i.identity,
       p.owner, p.acltype, p.acl,
       coalesce(p.initprivs, pg_catalog.acldefault(p.acltype, p.owner))
FROM (
    SELECT s.*, v.initprivs
    FROM (
        SELECT 'pg_catalog.pg_class'::pg_catalog.regclass AS classid, c.oid AS objid, 0 AS objsubid,
               c.relowner AS owner,
               CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS acltype, c.relacl AS acl
        FROM pg_catalog.pg_class c
        WHERE c.relacl IS NOT NULL
          AND (c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace OR EXISTS (
              SELECT FROM member m
              WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid))
        UNION ALL
        SELECT 'pg_catalog.pg_attribute'::pg_catalog.regclass, a.attrelid, a.attnum,
               c.relowner, 'c', a.attacl
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE a.attacl IS NOT NULL
          AND (c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace OR EXISTS (
              SELECT FROM member m
              WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid))
        UNION ALL
        SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, f.oid, 0, f.proowner, 'f', f.proacl
        FROM pg_catalog.pg_proc f
        WHERE f.proacl IS NOT NULL
          AND (f.pronamespace = 'pg_catalog'::pg_catalog.regnamespace OR EXISTS (
              SELECT FROM member m
              WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND m.objid = f.oid))
        UNION ALL
        SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0, t.typowner, 'T', t.typacl
        FROM pg_catalog.pg_type t
        WHERE t.typacl IS NOT NULL
          AND (t.typnamespace = 'pg_catalog'::pg_catalog.regnamespace OR EXISTS (
              SELECT FROM member m
              WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid))
        UNION ALL
        SELECT 'pg_catalog.pg_namespace'::pg_catalog.regclass, n.oid, 0, n.nspowner, 'n', n.nspacl
        FROM pg_catalog.pg_namespace n
        WHERE n.nspacl IS NOT NULL
          AND (n.nspname = 'pg_catalog' OR EXISTS (
              SELECT FROM member m
              WHERE m.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND m.objid = n.oid))
        UNION ALL
        SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, l.oid, 0, l.lanowner, 'l', l.lanacl
        FROM pg_catalog.pg_language l
        WHERE l.lanacl IS NOT NULL
          AND (l.oid < 16384 OR EXISTS (
              SELECT FROM member m
              WHERE m.classid = 'pg_catalog.pg_language'::pg_catalog.regclass AND m.objid = l.oid))
        UNION ALL
        SELECT 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, 0, w.fdwowner, 'F', w.fdwacl
        FROM pg_catalog.pg_foreign_data_wrapper w
        JOIN member m ON m.objid = w.oid
            AND m.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass
        WHERE w.fdwacl IS NOT NULL
    ) s
    LEFT JOIN pg_catalog.pg_init_privs v
        ON v.classoid = CASE s.classid WHEN 'pg_catalog.pg_attribute'::pg_catalog.regclass
               THEN 'pg_catalog.pg_class'::pg_catalog.regclass ELSE s.classid END
       AND v.objoid = s.objid AND v.objsubid = s.objsubid
    WHERE s.acl IS DISTINCT FROM v.initprivs
) p
CROSS JOIN LATERAL pg_catalog.pg_identify_object(
    CASE p.classid WHEN 'pg_catalog.pg_attribute'::pg_catalog.regclass
        THEN 'pg_catalog.pg_class'::pg_catalog.regclass ELSE p.classid END,
    p.objid, p.objsubid) i
