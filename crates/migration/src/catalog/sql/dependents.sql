-- The relations whose rules and policies print columns of others: some joins name all of them. NULL: a function.
SELECT r.ev_class
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY ('{}')
  AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
UNION
SELECT p.polrelid
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_policy p ON p.oid = d.objid
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY ('{}')
  AND d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass
UNION
SELECT NULL
FROM pg_catalog.pg_depend d
WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = ANY ('{}')
  AND d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
