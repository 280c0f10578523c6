-- Each object that has an access list, with the list that PostgreSQL gives it by itself.
SELECT pg_catalog.btrim(o.kind || ' ' || o.identity), o.owner, o.acltype, o.acl,
       CASE WHEN o.kind = 'schema' AND o.identity = 'public'
           THEN pg_catalog.acldefault('n', o.owner) || pg_catalog.makeaclitem(0, o.owner, 'USAGE', false)
           ELSE pg_catalog.acldefault(o.acltype, o.owner) END
FROM object o
WHERE o.acl IS NOT NULL
