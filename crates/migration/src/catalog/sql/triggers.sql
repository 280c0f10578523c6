SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, 0, 'trigger',
       pg_catalog.quote_ident(g.tgname) || ' on ' || c.identity,
       pg_catalog.concat_ws(' ',
           pg_catalog.pg_get_triggerdef(g.oid),
           CASE g.tgenabled
               WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END),
       NULL::pg_catalog.oid, NULL, NULL::pg_catalog.aclitem[]
FROM pg_catalog.pg_trigger g
JOIN relation c ON c.oid = g.tgrelid
LEFT JOIN pg_catalog.pg_trigger parent ON parent.oid = g.tgparentid
WHERE NOT g.tgisinternal
  -- A partition's copy is an object only where it is switched otherwise than its original.
  AND parent.tgenabled IS DISTINCT FROM g.tgenabled
