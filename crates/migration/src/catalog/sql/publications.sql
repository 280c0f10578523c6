SELECT 'pg_catalog.pg_publication'::pg_catalog.regclass, p.oid, 0, 'publication',
       pg_catalog.quote_ident(p.pubname),
       pg_catalog.concat_ws(' ',
           CASE WHEN p.puballtables THEN 'for all tables' END,
           'publish (' || pg_catalog.concat_ws(', ',
               CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
               CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END)
               || ')',
           CASE WHEN p.pubviaroot THEN 'via partition root' END,
           -- From PostgreSQL 18 on; n is what older servers do.
           'generated columns ' || nullif(pg_catalog.to_jsonb(p) ->> 'pubgencols', 'n')),
       p.pubowner, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_publication p
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_publication'::pg_catalog.regclass AND m.objid = p.oid)
UNION ALL
SELECT 'pg_catalog.pg_publication_rel'::pg_catalog.regclass, r.oid, 0, 'publication table',
       c.identity || ' in ' || pg_catalog.quote_ident(p.pubname),
       pg_catalog.concat_ws(' ',
           '(' || (
               SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attname)
               FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs::pg_catalog.int2[])) || ')',
           'where ' || pg_catalog.pg_get_expr(r.prqual, r.prrelid)),
       NULL, NULL, NULL
FROM pg_catalog.pg_publication_rel r
JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid
JOIN relation c ON c.oid = r.prrelid
UNION ALL
SELECT 'pg_catalog.pg_publication_namespace'::pg_catalog.regclass, r.oid, 0, 'publication schema',
       n.name || ' in ' || pg_catalog.quote_ident(p.pubname), '', NULL, NULL, NULL
FROM pg_catalog.pg_publication_namespace r
JOIN pg_catalog.pg_publication p ON p.oid = r.pnpubid
JOIN namespace n ON n.oid = r.pnnspid
UNION ALL
-- Only the columns that everybody may read; the connection string is not one of them.
SELECT 'pg_catalog.pg_subscription'::pg_catalog.regclass, s.oid, 0, 'subscription',
       pg_catalog.quote_ident(s.subname),
       pg_catalog.concat_ws(' ',
           'publication ' || pg_catalog.array_to_string(
               ARRAY(SELECT pg_catalog.quote_ident(q)
                     FROM pg_catalog.unnest(s.subpublications) q ORDER BY 1), ', '),
           CASE WHEN s.subenabled THEN 'enabled' ELSE 'disabled' END,
           CASE WHEN s.subbinary THEN 'binary' END,
           -- A boolean before PostgreSQL 16, a letter since.
           'streaming ' || pg_catalog.left(s.substream::text, 1),
           'two phase ' || s.subtwophasestate::text,
           CASE WHEN s.subdisableonerr THEN 'disable on error' END,
           'slot ' || pg_catalog.quote_ident(s.subslotname),
           'synchronous_commit ' || s.subsynccommit),
       s.subowner, NULL, NULL
FROM pg_catalog.pg_subscription s
JOIN pg_catalog.pg_database db ON db.oid = s.subdbid AND db.datname = pg_catalog.current_database()
