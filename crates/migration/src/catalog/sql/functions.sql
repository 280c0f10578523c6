SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, 0,
       CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
       p.oid::pg_catalog.regprocedure::text,
       CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid)
       ELSE pg_catalog.concat_ws(' ',
           '(' || pg_catalog.pg_get_function_arguments(p.oid) || ')',
           'kind ' || g.aggkind::text,
           'sfunc ' || g.aggtransfn,
           'stype ' || pg_catalog.format_type(g.aggtranstype, NULL),
           CASE WHEN g.aggtransspace <> 0 THEN 'sspace ' || g.aggtransspace END,
           CASE WHEN g.aggfinalfn <> 0 THEN 'finalfunc ' || g.aggfinalfn END,
           CASE WHEN g.aggfinalextra THEN 'finalfunc_extra' END,
           'finalfunc_modify ' || g.aggfinalmodify::text,
           CASE WHEN g.aggcombinefn <> 0 THEN 'combinefunc ' || g.aggcombinefn END,
           CASE WHEN g.aggserialfn <> 0 THEN 'serialfunc ' || g.aggserialfn END,
           CASE WHEN g.aggdeserialfn <> 0 THEN 'deserialfunc ' || g.aggdeserialfn END,
           'initcond ' || pg_catalog.quote_literal(g.agginitval),
           CASE WHEN g.aggmtransfn <> 0 THEN 'msfunc ' || g.aggmtransfn END,
           CASE WHEN g.aggminvtransfn <> 0 THEN 'minvfunc ' || g.aggminvtransfn END,
           CASE WHEN g.aggmtranstype <> 0
               THEN 'mstype ' || pg_catalog.format_type(g.aggmtranstype, NULL) END,
           CASE WHEN g.aggmtransspace <> 0 THEN 'msspace ' || g.aggmtransspace END,
           CASE WHEN g.aggmfinalfn <> 0 THEN 'mfinalfunc ' || g.aggmfinalfn END,
           CASE WHEN g.aggmfinalextra THEN 'mfinalfunc_extra' END,
           CASE WHEN g.aggmtransfn <> 0 THEN 'mfinalfunc_modify ' || g.aggmfinalmodify::text END,
           'minitcond ' || pg_catalog.quote_literal(g.aggminitval),
           CASE WHEN g.aggsortop <> 0 THEN 'sortop ' || g.aggsortop::pg_catalog.regoperator END,
           'parallel ' || p.proparallel::text) END,
       p.proowner, 'f', p.proacl
FROM pg_catalog.pg_proc p
JOIN namespace n ON n.oid = p.pronamespace
LEFT JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = p.oid
WHERE p.oid >= 16384
  AND NOT EXISTS (
    SELECT FROM member m
    WHERE m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND m.objid = p.oid)
  -- Constructors of range and multirange types come with the type.
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
      AND d.deptype = 'i')
