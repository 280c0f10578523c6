-- NOT NULL (contype n, PostgreSQL 18) is in the column's definition; the copies of a foreign key on
-- partitions and a constraint trigger's twin (t) follow from their originals.
SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid, 0, 'constraint',
       pg_catalog.quote_ident(k.conname) || ' on ' || c.identity,
       CASE WHEN k.contype <> 'n' THEN pg_catalog.concat_ws(' ',
           pg_catalog.pg_get_constraintdef(k.oid),
           CASE WHEN NOT k.conislocal AND NOT c.relispartition THEN 'inherited' END) END,
       NULL::pg_catalog.oid, NULL, NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_constraint k
JOIN relation c ON c.oid = k.conrelid
WHERE k.contype <> 't' AND NOT (k.contype = 'f' AND k.conparentid <> 0)
