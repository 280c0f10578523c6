),
-- Comments and security labels may stand on a column of anything.
attached_column AS MATERIALIZED (
    SELECT c.oid AS objid, a.attnum, 'column'::text AS kind,
           c.identity || '.' || pg_catalog.quote_ident(a.attname) AS identity,
           c.relowner, a.attacl
    FROM relation c
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    WHERE a.attrelid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped
      AND (a.attacl IS NOT NULL
           OR EXISTS (
               SELECT FROM pg_catalog.pg_description d
               WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 AND d.objoid = a.attrelid AND d.objsubid = a.attnum)
           OR EXISTS (
               SELECT FROM pg_catalog.pg_seclabel l
               WHERE l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 AND l.objoid = a.attrelid AND l.objsubid = a.attnum))
),
-- Each object that has an access list, with the list that PostgreSQL gives it by itself.
access_list (target, owner, acltype, acl, initial) AS (
    SELECT pg_catalog.btrim(o.kind || ' ' || o.identity), o.owner, o.acltype, o.acl,
           CASE WHEN o.kind = 'schema' AND o.identity = 'public'
               THEN pg_catalog.acldefault('n', o.owner) || pg_catalog.makeaclitem(0, o.owner, 'USAGE', false)
               ELSE pg_catalog.acldefault(o.acltype, o.owner) END
    FROM object o
    WHERE o.acl IS NOT NULL
    UNION ALL
    SELECT a.kind || ' ' || a.identity, a.relowner, 'c', a.attacl,
           pg_catalog.acldefault('c', a.relowner)
    FROM attached_column a
    WHERE a.attacl IS NOT NULL
    UNION ALL
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
    UNION ALL
    SELECT 'parameter ' || pg_catalog.quote_ident(p.parname), 10::pg_catalog.oid, 'p', p.paracl,
           pg_catalog.acldefault('p', 10::pg_catalog.oid)
    FROM pg_catalog.pg_parameter_acl p
    UNION ALL
    SELECT pg_catalog.concat_ws(' ',
               CASE d.defaclobjtype
                   WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
                   WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' WHEN 'L' THEN 'large objects'
                   ELSE d.defaclobjtype::text END,
               'in schema ' || n.name,
               CASE WHEN d.defaclrole NOT IN (SELECT m.oid FROM migrator m)
                   THEN 'of ' || pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(d.defaclrole)) END),
           d.defaclrole, CASE d.defaclobjtype WHEN 'r' THEN 'R' ELSE 'D' END::"char", d.defaclacl,
           CASE WHEN d.defaclnamespace = 0 THEN pg_catalog.acldefault(
               CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)
           ELSE '{}'::pg_catalog.aclitem[] END
    FROM pg_catalog.pg_default_acl d
    LEFT JOIN namespace n ON n.oid = d.defaclnamespace
),
held AS (
    SELECT a.target, a.owner, a.acltype, x.now, x.grantee, x.privilege_type AS privilege,
           pg_catalog.bool_or(x.is_grantable) AS grantable,
           pg_catalog.string_agg(DISTINCT CASE WHEN x.grantor <> a.owner
               THEN pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantor)) END, ', ') AS grantors
    FROM access_list a
    CROSS JOIN LATERAL (
        SELECT true AS now, e.* FROM pg_catalog.aclexplode(a.acl) e
        UNION ALL
        SELECT false, e.* FROM pg_catalog.aclexplode(a.initial) e) x
    GROUP BY a.target, a.owner, a.acltype, x.now, x.grantee, x.privilege_type
),
-- GRANT ALL ON a table includes MAINTAIN from PostgreSQL 17 on. So that it is the same objects on
-- every server, MAINTAIN is taken for granted where all others are, and its lack is told instead.
table_grant AS (
    SELECT h.target, h.owner, h.acltype, h.now, h.grantee,
           pg_catalog.bool_or(h.privilege = 'MAINTAIN') AS maintain
    FROM held h
    WHERE h.acltype IN ('r', 'R')
    GROUP BY h.target, h.owner, h.acltype, h.now, h.grantee
    HAVING pg_catalog.count(*) FILTER (WHERE h.privilege <> 'MAINTAIN') = 7
),
comparable AS (
    SELECT h.*
    FROM held h
    LEFT JOIN table_grant g USING (target, owner, acltype, now, grantee)
    WHERE h.privilege <> 'MAINTAIN' OR g.maintain IS NULL
    UNION ALL
    SELECT g.target, g.owner, g.acltype, g.now, g.grantee, 'not MAINTAIN', false, NULL
    FROM table_grant g
    WHERE NOT g.maintain AND pg_catalog.current_setting('server_version_num')::int >= 170000
)
SELECT o.kind, o.identity, o.definition
FROM object o
WHERE o.definition IS NOT NULL
UNION ALL
SELECT CASE WHEN c.acltype IN ('D', 'R') THEN 'default privilege' ELSE 'privilege' END,
       pg_catalog.lower(c.privilege) || ' on ' || c.target || ' to ' || CASE
           WHEN c.grantee = 0 THEN 'public'
           WHEN c.grantee = c.owner THEN 'the owner'
           ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(c.grantee)) END,
       CASE WHEN NOT pg_catalog.bool_or(c.now) THEN 'revoked'
       ELSE pg_catalog.concat_ws(' ', 'granted',
           CASE WHEN pg_catalog.bool_or(c.now AND c.grantable) THEN 'with grant option' END,
           'by ' || pg_catalog.string_agg(c.grantors, ', ') FILTER (WHERE c.now)) END
FROM comparable c
GROUP BY c.target, c.owner, c.acltype, c.grantee, c.privilege
HAVING NOT (pg_catalog.bool_or(c.now) AND pg_catalog.bool_or(NOT c.now))
    OR pg_catalog.bool_or(c.now AND c.grantable) <> pg_catalog.bool_or(NOT c.now AND c.grantable)
UNION ALL
SELECT 'comment', pg_catalog.btrim('on ' || o.kind || ' ' || o.identity), d.description
FROM pg_catalog.pg_description d
JOIN object o ON o.classid = d.classoid AND o.objid = d.objoid
WHERE d.objsubid = 0
  AND NOT (o.kind = 'schema' AND o.identity = 'public' AND d.description = 'standard public schema')
  -- CREATE EXTENSION writes the control file's comment, which differs between versions.
  AND NOT (o.kind = 'extension' AND d.description IN (
      SELECT x.comment FROM pg_catalog.pg_available_extensions() x
      WHERE x.name = ANY (ARRAY(SELECT e.extname FROM pg_catalog.pg_extension e))))
UNION ALL
SELECT 'comment', 'on schema public', ''
FROM object o
WHERE o.kind = 'schema' AND o.identity = 'public'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_description d
    WHERE d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objoid = o.objid)
UNION ALL
SELECT 'comment', 'on ' || a.kind || ' ' || a.identity, d.description
FROM attached_column a
JOIN pg_catalog.pg_description d
    ON d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND d.objoid = a.objid AND d.objsubid = a.attnum
UNION ALL
SELECT 'comment', pg_catalog.btrim('on ' || o.kind || ' ' || o.identity), d.description
FROM pg_catalog.pg_shdescription d
JOIN object o ON o.classid = d.classoid AND o.objid = d.objoid
UNION ALL
SELECT 'security label',
       pg_catalog.btrim('for ' || pg_catalog.quote_ident(l.provider) || ' on ' || o.kind || ' ' || o.identity),
       l.label
FROM pg_catalog.pg_seclabel l
JOIN object o ON o.classid = l.classoid AND o.objid = l.objoid
WHERE l.objsubid = 0
UNION ALL
SELECT 'security label',
       'for ' || pg_catalog.quote_ident(l.provider) || ' on ' || a.kind || ' ' || a.identity, l.label
FROM attached_column a
JOIN pg_catalog.pg_seclabel l
    ON l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
   AND l.objoid = a.objid AND l.objsubid = a.attnum
UNION ALL
SELECT 'security label',
       pg_catalog.btrim('for ' || pg_catalog.quote_ident(l.provider) || ' on ' || o.kind || ' ' || o.identity),
       l.label
FROM pg_catalog.pg_shseclabel l
JOIN object o ON o.classid = l.classoid AND o.objid = l.objoid
UNION ALL
SELECT 'extension dependency',
       'of ' || o.kind || ' ' || o.identity || ' on ' || pg_catalog.quote_ident(e.extname), ''
FROM pg_catalog.pg_depend d
JOIN object o ON o.classid = d.classid AND o.objid = d.objid
JOIN pg_catalog.pg_extension e
    ON e.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
WHERE d.deptype = 'x'
