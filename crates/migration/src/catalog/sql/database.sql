-- Privileges and a comment hang on the database; it has no name of its own here.
SELECT 'pg_catalog.pg_database'::pg_catalog.regclass, db.oid, 0, 'database', '', NULL,
       db.datdba, 'd', db.datacl
FROM pg_catalog.pg_database db
WHERE db.datname = pg_catalog.current_database()
