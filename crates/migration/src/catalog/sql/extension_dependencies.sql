SELECT 'extension dependency',
       'of ' || o.kind || ' ' || o.identity || ' on ' || pg_catalog.quote_ident(e.extname), ''
FROM pg_catalog.pg_depend d
JOIN object o ON o.classid = d.classid AND o.objid = d.objid
JOIN pg_catalog.pg_extension e
    ON e.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
WHERE d.deptype = 'x'
