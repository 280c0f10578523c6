-- Whether any row was ever set aside here.
SELECT pg_catalog.to_regclass('migration.quarantine') IS NOT NULL
