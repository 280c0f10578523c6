SELECT 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass, w.oid, 0, 'foreign-data wrapper',
       pg_catalog.quote_ident(w.fdwname),
       pg_catalog.concat_ws(' ',
           CASE WHEN w.fdwhandler <> 0 THEN 'handler ' || w.fdwhandler::pg_catalog.regproc END,
           CASE WHEN w.fdwvalidator <> 0 THEN 'validator ' || w.fdwvalidator::pg_catalog.regproc END,
           CASE WHEN w.fdwoptions IS NOT NULL THEN 'options (' || (
               SELECT pg_catalog.string_agg(pg_catalog.quote_ident(o.option_name) || ' '
                   || pg_catalog.quote_literal(o.option_value), ', ' ORDER BY o.option_name)
               FROM pg_catalog.pg_options_to_table(w.fdwoptions) o) || ')' END),
       w.fdwowner, 'F'::"char", w.fdwacl
FROM pg_catalog.pg_foreign_data_wrapper w
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_foreign_data_wrapper'::pg_catalog.regclass AND m.objid = w.oid)
UNION ALL
SELECT 'pg_catalog.pg_foreign_server'::pg_catalog.regclass, s.oid, 0, 'server',
       pg_catalog.quote_ident(s.srvname),
       pg_catalog.concat_ws(' ',
           'type ' || pg_catalog.quote_literal(s.srvtype),
           'version ' || pg_catalog.quote_literal(s.srvversion),
           'foreign data wrapper ' || pg_catalog.quote_ident(w.fdwname),
           CASE WHEN s.srvoptions IS NOT NULL THEN 'options (' || (
               SELECT pg_catalog.string_agg(pg_catalog.quote_ident(o.option_name) || ' '
                   || pg_catalog.quote_literal(o.option_value), ', ' ORDER BY o.option_name)
               FROM pg_catalog.pg_options_to_table(s.srvoptions) o) || ')' END),
       s.srvowner, 'S', s.srvacl
FROM pg_catalog.pg_foreign_server s
JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass AND m.objid = s.oid)
UNION ALL
-- The view shows options only to those who may see them, so they are objects of their own: the
-- mapping itself is the same for every reader.
SELECT 'pg_catalog.pg_user_mapping'::pg_catalog.regclass, u.umid, 0, 'user mapping',
       CASE WHEN u.umuser = 0 THEN 'for public'
            WHEN u.umuser IN (SELECT m.oid FROM migrator m) THEN 'for the owner'
            ELSE 'for ' || pg_catalog.quote_ident(u.usename) END
           || ' server ' || pg_catalog.quote_ident(u.srvname),
       '', NULL, NULL, NULL
FROM pg_catalog.pg_user_mappings u
UNION ALL
SELECT NULL, NULL, 0, 'user mapping option',
       pg_catalog.quote_ident(o.option_name)
           || CASE WHEN u.umuser = 0 THEN ' for public'
                   WHEN u.umuser IN (SELECT m.oid FROM migrator m) THEN ' for the owner'
                   ELSE ' for ' || pg_catalog.quote_ident(u.usename) END
           || ' server ' || pg_catalog.quote_ident(u.srvname),
       CASE WHEN o.option_name ~* 'pass|secret|token|key|cred' THEN '(secret)'
            ELSE pg_catalog.quote_literal(o.option_value) END,
       NULL, NULL, NULL
FROM pg_catalog.pg_user_mappings u
CROSS JOIN LATERAL pg_catalog.pg_options_to_table(u.umoptions) o
