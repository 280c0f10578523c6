SELECT 'pg_catalog.pg_ts_parser'::pg_catalog.regclass, p.oid, 0, 'text search parser',
       n.name || '.' || pg_catalog.quote_ident(p.prsname),
       pg_catalog.concat_ws(' ',
           'start ' || p.prsstart, 'gettoken ' || p.prstoken, 'end ' || p.prsend,
           CASE WHEN p.prsheadline <> 0 THEN 'headline ' || p.prsheadline END,
           'lextypes ' || p.prslextype),
       NULL::pg_catalog.oid, NULL::"char", NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_ts_parser p
JOIN namespace n ON n.oid = p.prsnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_ts_parser'::pg_catalog.regclass AND m.objid = p.oid)
UNION ALL
SELECT 'pg_catalog.pg_ts_template'::pg_catalog.regclass, t.oid, 0, 'text search template',
       n.name || '.' || pg_catalog.quote_ident(t.tmplname),
       pg_catalog.concat_ws(' ',
           CASE WHEN t.tmplinit <> 0 THEN 'init ' || t.tmplinit END, 'lexize ' || t.tmpllexize),
       NULL, NULL, NULL
FROM pg_catalog.pg_ts_template t
JOIN namespace n ON n.oid = t.tmplnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_ts_template'::pg_catalog.regclass AND m.objid = t.oid)
UNION ALL
SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, d.oid, 0, 'text search dictionary',
       n.name || '.' || pg_catalog.quote_ident(d.dictname),
       pg_catalog.concat_ws(' ',
           'template ' || tn.nspname || '.' || pg_catalog.quote_ident(t.tmplname), d.dictinitoption),
       d.dictowner, NULL, NULL
FROM pg_catalog.pg_ts_dict d
JOIN namespace n ON n.oid = d.dictnamespace
JOIN pg_catalog.pg_ts_template t ON t.oid = d.dicttemplate
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.tmplnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_ts_dict'::pg_catalog.regclass AND m.objid = d.oid)
UNION ALL
SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, c.oid, 0, 'text search configuration',
       n.name || '.' || pg_catalog.quote_ident(c.cfgname),
       pg_catalog.concat_ws(' ',
           'parser ' || pn.nspname || '.' || pg_catalog.quote_ident(p.prsname), (
           SELECT pg_catalog.string_agg(mapping.text, ', ' ORDER BY mapping.text COLLATE "C")
           FROM (
               SELECT tt.alias || ' with ' || pg_catalog.string_agg(
                   m.mapdict::pg_catalog.regdictionary::text, ', ' ORDER BY m.mapseqno) AS text
               FROM pg_catalog.pg_ts_config_map m
               JOIN pg_catalog.ts_token_type(c.cfgparser) tt ON tt.tokid = m.maptokentype
               WHERE m.mapcfg = c.oid
               GROUP BY tt.alias) mapping)),
       c.cfgowner, NULL, NULL
FROM pg_catalog.pg_ts_config c
JOIN namespace n ON n.oid = c.cfgnamespace
JOIN pg_catalog.pg_ts_parser p ON p.oid = c.cfgparser
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.prsnamespace
WHERE NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_ts_config'::pg_catalog.regclass AND m.objid = c.oid)
