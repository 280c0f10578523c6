-- Whether there is a journal, and something set aside.
SELECT pg_catalog.to_regclass('migration.runs') IS NOT NULL AS journal,
       pg_catalog.to_regclass('migration.set_aside') IS NOT NULL AS quarantine
