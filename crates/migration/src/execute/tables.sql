-- Remembers, for this transaction, which tables are there.
SELECT pg_catalog.set_config('xtask.tables', coalesce(pg_catalog.string_agg(c.oid::text, ' '), ''), true)
FROM pg_catalog.pg_class AS c
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
