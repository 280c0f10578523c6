SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, 0, 'type',
       n.name || '.' || pg_catalog.quote_ident(t.typname),
       'enum (' || coalesce((
           SELECT pg_catalog.string_agg(pg_catalog.quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder)
           FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid), '') || ')',
       t.typowner, 'T', t.typacl
FROM pg_catalog.pg_type t
JOIN namespace n ON n.oid = t.typnamespace
WHERE t.oid >= 16384
  AND t.typtype = 'e'
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND m.objid = t.oid)
