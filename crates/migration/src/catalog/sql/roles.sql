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
