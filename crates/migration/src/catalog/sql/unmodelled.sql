-- What the other queries have no words for.
SELECT (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid = d.classid),
       coalesce(i.type || ' ' || i.identity, 'object ' || d.objid), 'not described'
FROM (
    SELECT DISTINCT x.classid, x.objid
    FROM pg_catalog.pg_depend x
    WHERE x.objid >= 16384 AND x.deptype <> 'e'
      AND x.classid NOT IN (
        SELECT c.oid FROM pg_catalog.pg_class c
        WHERE c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace AND c.relname IN (-- the catalogs that are known
        ))
) d
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) i
