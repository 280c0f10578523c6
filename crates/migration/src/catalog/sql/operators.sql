SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid, 0, 'operator',
       o.oid::pg_catalog.regoperator::text,
       CASE WHEN o.oprcode = 0 THEN 'shell' ELSE pg_catalog.concat_ws(' ',
           'returns ' || pg_catalog.format_type(o.oprresult, NULL),
           'function ' || o.oprcode,
           CASE WHEN o.oprcom <> 0 THEN 'commutator ' || o.oprcom::pg_catalog.regoperator END,
           CASE WHEN o.oprnegate <> 0 THEN 'negator ' || o.oprnegate::pg_catalog.regoperator END,
           CASE WHEN o.oprrest <> 0 THEN 'restrict ' || o.oprrest END,
           CASE WHEN o.oprjoin <> 0 THEN 'join ' || o.oprjoin END,
           CASE WHEN o.oprcanmerge THEN 'merges' END,
           CASE WHEN o.oprcanhash THEN 'hashes' END) END,
       o.oprowner, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_operator o
JOIN namespace n ON n.oid = o.oprnamespace
WHERE o.oid >= 16384
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_operator'::pg_catalog.regclass AND m.objid = o.oid)
UNION ALL
SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, o.oid, 0, 'operator class',
       n.name || '.' || pg_catalog.quote_ident(o.opcname) || ' using ' || pg_catalog.quote_ident(am.amname),
       pg_catalog.concat_ws(' ',
           CASE WHEN o.opcdefault THEN 'default' END,
           'for type ' || pg_catalog.format_type(o.opcintype, NULL),
           'family ' || fn.nspname || '.' || pg_catalog.quote_ident(f.opfname),
           CASE WHEN o.opckeytype <> 0
               THEN 'storage ' || pg_catalog.format_type(o.opckeytype, NULL) END),
       o.opcowner, NULL, NULL
FROM pg_catalog.pg_opclass o
JOIN namespace n ON n.oid = o.opcnamespace
JOIN pg_catalog.pg_am am ON am.oid = o.opcmethod
JOIN pg_catalog.pg_opfamily f ON f.oid = o.opcfamily
JOIN pg_catalog.pg_namespace fn ON fn.oid = f.opfnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_opclass'::pg_catalog.regclass AND m.objid = o.oid)
UNION ALL
SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, f.oid, 0, 'operator family',
       n.name || '.' || pg_catalog.quote_ident(f.opfname) || ' using ' || pg_catalog.quote_ident(am.amname),
       pg_catalog.concat_ws(', ', (
           SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ',
               'operator', e.amopstrategy, e.amopopr::pg_catalog.regoperator,
               CASE WHEN e.amopsortfamily <> 0
                   THEN 'for order by ' || pg_catalog.quote_ident(s.opfname) END), ', '
               ORDER BY e.amopstrategy, e.amopopr::pg_catalog.regoperator::text COLLATE "C")
           FROM pg_catalog.pg_amop e
           LEFT JOIN pg_catalog.pg_opfamily s ON s.oid = e.amopsortfamily
           WHERE e.amopfamily = f.oid), (
           SELECT pg_catalog.string_agg(pg_catalog.format('function %s (%s, %s) %s',
               e.amprocnum, pg_catalog.format_type(e.amproclefttype, NULL),
               pg_catalog.format_type(e.amprocrighttype, NULL),
               e.amproc::pg_catalog.regprocedure), ', '
               ORDER BY e.amprocnum, e.amproc::pg_catalog.regprocedure::text COLLATE "C")
           FROM pg_catalog.pg_amproc e
           WHERE e.amprocfamily = f.oid)),
       f.opfowner, NULL, NULL
FROM pg_catalog.pg_opfamily f
JOIN namespace n ON n.oid = f.opfnamespace
JOIN pg_catalog.pg_am am ON am.oid = f.opfmethod
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_opfamily'::pg_catalog.regclass AND m.objid = f.oid)
