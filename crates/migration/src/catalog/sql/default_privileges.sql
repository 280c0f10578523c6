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
       END
FROM pg_catalog.pg_default_acl d
LEFT JOIN namespace n ON n.oid = d.defaclnamespace
