SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, c.oid, 0, 'sequence', c.identity,
       CASE WHEN o.deptype IS DISTINCT FROM 'i' THEN pg_catalog.concat_ws(' ',
           CASE c.relpersistence WHEN 'u' THEN 'unlogged' END,
           'as ' || pg_catalog.format_type(s.seqtypid, NULL),
           'start with ' || s.seqstart, 'increment by ' || s.seqincrement,
           'minvalue ' || s.seqmin, 'maxvalue ' || s.seqmax, 'cache ' || s.seqcache,
           CASE WHEN s.seqcycle THEN 'cycle' END,
           'owned by ' || t.identity || '.' || pg_catalog.quote_ident(a.attname)) END,
       c.relowner, 's', c.relacl
FROM relation c
JOIN pg_catalog.pg_sequence s ON s.seqrelid = c.oid
LEFT JOIN owned_sequence o ON o.sequence = c.oid
LEFT JOIN relation t ON t.oid = o.relation
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.relation AND a.attnum = o.attnum
