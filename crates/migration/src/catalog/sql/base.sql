-- What all parts share. Objects below 16384 came with initdb; members of extensions come with
-- CREATE EXTENSION; schema migration is the engine's own.
WITH
member AS MATERIALIZED (
    SELECT d.classid, d.objid
    FROM pg_catalog.pg_depend d
    WHERE d.deptype = 'e'
),
-- Whoever runs the migrations. Their names differ between servers, so no definition holds them.
migrator AS MATERIALIZED (
    SELECT db.datdba AS oid FROM pg_catalog.pg_database db
    WHERE db.datname = pg_catalog.current_database()
    UNION
    SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = 'migration'
    UNION
    -- Before the first run; somebody who may not migrate only looks.
    SELECT r.oid FROM pg_catalog.pg_roles r
    WHERE r.rolname = current_user
      AND pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = 'migration')
),
namespace AS MATERIALIZED (
    SELECT n.oid, pg_catalog.quote_ident(n.nspname) AS name
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'migration')
),
relation AS MATERIALIZED (
    SELECT c.*, n.name || '.' || pg_catalog.quote_ident(c.relname) AS identity
    FROM pg_catalog.pg_class c
    JOIN namespace n ON n.oid = c.relnamespace
    WHERE c.oid >= 16384 -- of all relations
      AND NOT EXISTS (
        SELECT FROM member m
        WHERE m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND m.objid = c.oid)
),
-- Sequences by the column that owns them; deptype i is an identity column's.
owned_sequence AS MATERIALIZED (
    SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum, d.deptype
    FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjsubid > 0
      AND d.objsubid = 0
      AND d.deptype IN ('a', 'i')
      AND d.objid IN (SELECT s.seqrelid FROM pg_catalog.pg_sequence s)
),
-- The next list has one row an object. A NULL definition: its parent's definition says all there is
-- to say, but it may bear a comment or privileges.
