-- No version: CREATE EXTENSION without one takes the server's own, as pg_dump has it.
SELECT 'pg_catalog.pg_extension'::pg_catalog.regclass, e.oid, 0, 'extension',
       pg_catalog.quote_ident(e.extname),
       'schema ' || pg_catalog.quote_ident(n.nspname), e.extowner, NULL, NULL
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
