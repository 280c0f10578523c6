SELECT 'comment', pg_catalog.btrim('on ' || o.kind || ' ' || o.identity), d.description
FROM pg_catalog.pg_description d
JOIN object o ON o.classid = d.classoid AND o.objid = d.objoid AND o.objsubid = d.objsubid
WHERE NOT (o.kind = 'schema' AND o.identity = 'public' AND d.description = 'standard public schema')
  -- CREATE EXTENSION writes the control file's comment, which differs between versions.
  AND NOT (o.kind = 'extension' AND (o.objid < 16384 OR d.description IN (
      SELECT x.comment FROM pg_catalog.pg_available_extensions() x
      WHERE x.name = ANY (ARRAY(SELECT e.extname FROM pg_catalog.pg_extension e)))))
UNION ALL
SELECT 'comment', 'on schema public', ''
FROM object o
WHERE o.kind = 'schema' AND o.identity = 'public'
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_description d
    WHERE d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.objoid = o.objid)
UNION ALL
SELECT 'comment', pg_catalog.btrim('on ' || o.kind || ' ' || o.identity), d.description
FROM pg_catalog.pg_shdescription d
JOIN object o ON o.classid = d.classoid AND o.objid = d.objoid
