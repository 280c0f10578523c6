SELECT 'security label',
       pg_catalog.btrim('for ' || pg_catalog.quote_ident(l.provider) || ' on ' || o.kind || ' ' || o.identity),
       l.label
FROM pg_catalog.pg_seclabel l
JOIN object o ON o.classid = l.classoid AND o.objid = l.objoid AND o.objsubid = l.objsubid
UNION ALL
SELECT 'security label',
       pg_catalog.btrim('for ' || pg_catalog.quote_ident(l.provider) || ' on ' || o.kind || ' ' || o.identity),
       l.label
FROM pg_catalog.pg_shseclabel l
JOIN object o ON o.classid = l.classoid AND o.objid = l.objoid
