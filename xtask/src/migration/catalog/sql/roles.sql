-- Roles are shared by all databases of the cluster. Left out: PostgreSQL's own, the bootstrap
-- superuser and whoever runs the migrations. Passwords cannot be read.
SELECT 'pg_catalog.pg_authid'::pg_catalog.regclass, r.oid, 0, 'role',
       pg_catalog.quote_ident(r.rolname),
       pg_catalog.concat_ws(' ',
           CASE WHEN r.rolcanlogin THEN 'login' ELSE 'nologin' END,
           CASE WHEN r.rolsuper THEN 'superuser' END,
           CASE WHEN r.rolcreatedb THEN 'createdb' END,
           CASE WHEN r.rolcreaterole THEN 'createrole' END,
           CASE WHEN NOT r.rolinherit THEN 'noinherit' END,
           CASE WHEN r.rolreplication THEN 'replication' END,
           CASE WHEN r.rolbypassrls THEN 'bypassrls' END,
           CASE WHEN r.rolconnlimit <> -1 THEN 'connection limit ' || r.rolconnlimit END,
           'valid until ' || pg_catalog.quote_literal(
               pg_catalog.timezone('UTC', r.rolvaliduntil) || ' UTC')),
       NULL::pg_catalog.oid, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_roles r
WHERE r.rolname !~ '^pg_' AND r.oid <> 10 AND r.oid NOT IN (SELECT m.oid FROM migrator m)
UNION ALL
SELECT NULL, NULL, 0, 'role membership',
       CASE WHEN m.member IN (SELECT g.oid FROM migrator g) THEN 'the owner'
            ELSE pg_catalog.quote_ident(member.rolname) END
           || ' in ' || pg_catalog.quote_ident(granted.rolname),
       pg_catalog.concat_ws(' ', 'member',
           CASE WHEN pg_catalog.bool_or(m.admin_option) THEN 'with admin option' END,
           -- From PostgreSQL 16 on; before, the member's own attribute decides.
           CASE WHEN pg_catalog.bool_or(o.inherit) IS DISTINCT FROM member.rolinherit
               AND pg_catalog.bool_or(o.inherit) IS NOT NULL
               THEN 'inherit ' || pg_catalog.bool_or(o.inherit) END,
           CASE WHEN NOT pg_catalog.bool_or(o.set) THEN 'set false' END),
       NULL, NULL, NULL
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles member ON member.oid = m.member
JOIN pg_catalog.pg_roles granted ON granted.oid = m.roleid
CROSS JOIN LATERAL (
    SELECT (pg_catalog.to_jsonb(m) ->> 'inherit_option')::boolean AS inherit,
           (pg_catalog.to_jsonb(m) ->> 'set_option')::boolean AS set) o
-- PostgreSQL 16 makes the creator of a role its administrator by itself.
WHERE NOT (m.grantor = 10 AND m.admin_option AND NOT coalesce(o.inherit OR o.set, true))
  AND member.rolname !~ '^pg_'
GROUP BY m.member, m.roleid, member.rolname, granted.rolname, member.rolinherit
UNION ALL
SELECT NULL, NULL, 0,
       CASE WHEN s.setrole = 0 THEN 'database setting'
            WHEN s.setdatabase = 0 THEN 'role setting'
            ELSE 'role setting in database' END,
       CASE WHEN s.setrole = 0 THEN ''
            WHEN s.setrole IN (SELECT m.oid FROM migrator m) THEN 'the owner.'
            ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(s.setrole)) || '.' END
           || pg_catalog.split_part(c.setting, '=', 1),
       pg_catalog.substr(c.setting, pg_catalog.strpos(c.setting, '=') + 1),
       NULL, NULL, NULL
FROM pg_catalog.pg_db_role_setting s
CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c(setting)
WHERE s.setdatabase IN (
        0, (SELECT db.oid FROM pg_catalog.pg_database db
            WHERE db.datname = pg_catalog.current_database()))
  AND (s.setrole <> 10 OR s.setdatabase <> 0)
UNION ALL
-- Privileges and a comment hang on the database; it has no name of its own here.
SELECT 'pg_catalog.pg_database'::pg_catalog.regclass, db.oid, 0, 'database', '', NULL,
       db.datdba, 'd', db.datacl
FROM pg_catalog.pg_database db
WHERE db.datname = pg_catalog.current_database()
