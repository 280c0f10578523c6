-- Phase 08: readonly_user, for the admin console: connect to this database, use schema public, read every table there.
--
-- No password stands here: `cargo xtask migrate` sets the one in POSTGRES_READONLY_PASSWORD, and without one nobody
-- logs in as this role by password. Roles belong to the whole cluster, and another database may share this one: it is
-- made if it is missing and altered only where it can do more or less than it should. Each block looks at the
-- privileges first: a GRANT writes its catalog row even if it changes nothing, and two at once fail.
-- What every role has through PUBLIC (temporary tables, functions) is left alone, but for CREATE in schema public.

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'readonly_user') THEN
        CREATE ROLE readonly_user LOGIN;
    END IF;
END $$;

-- A role of that name that somebody else made: one attribute at a time, since from PostgreSQL 16 on whoever lacks one
-- may not even mention it. What the migrating role cannot take away is told.
-- xtask: prepares role readonly_user
DO $$
DECLARE
    r pg_roles;
BEGIN
    SELECT * INTO r FROM pg_roles WHERE rolname = 'readonly_user';
    IF NOT r.rolcanlogin THEN
        ALTER ROLE readonly_user LOGIN;
    END IF;
    IF r.rolcreaterole THEN
        ALTER ROLE readonly_user NOCREATEROLE;
    END IF;
    IF r.rolcreatedb THEN
        BEGIN
            ALTER ROLE readonly_user NOCREATEDB;
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'readonly_user may create databases: %', SQLERRM
                USING HINT = 'A superuser should run: ALTER ROLE readonly_user NOCREATEDB';
        END;
    END IF;
    IF r.rolsuper OR r.rolreplication OR r.rolbypassrls THEN
        RAISE WARNING 'readonly_user is a superuser, may replicate or bypasses row security'
            USING HINT = 'A superuser should run: ALTER ROLE readonly_user NOSUPERUSER NOREPLICATION NOBYPASSRLS';
    END IF;
END $$;

-- In a block because GRANT needs the database's name, which these files do not know.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_database d, aclexplode(d.datacl) a
                   WHERE d.datname = current_database() AND a.privilege_type = 'CONNECT'
                     AND a.grantee = 'readonly_user'::regrole) THEN
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO readonly_user', current_database());
    END IF;
END $$;

DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
                   WHERE n.nspname = 'public' AND a.privilege_type = 'USAGE' AND a.grantee = 'readonly_user'::regrole) THEN
        GRANT USAGE ON SCHEMA public TO readonly_user;
    END IF;
END $$;

-- Databases made before PostgreSQL 15 let everybody create tables in public, readonly_user too.
-- xtask: prepares privilege create on schema public to public
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
               WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE' AND a.grantee = 0) THEN
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    END IF;
END $$;

-- xtask: prepares privilege create on schema public to readonly_user
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_namespace n, aclexplode(n.nspacl) a
               WHERE n.nspname = 'public' AND a.privilege_type = 'CREATE' AND a.grantee = 'readonly_user'::regrole) THEN
        REVOKE CREATE ON SCHEMA public FROM readonly_user;
    END IF;
END $$;

-- All tables; those of an extension and of other owners are not ours to grant.
DO $$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT c.oid FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND pg_has_role(c.relowner, 'USAGE')
          AND NOT EXISTS (SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
          AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) a
                          WHERE a.privilege_type = 'SELECT' AND a.grantee = 'readonly_user'::regrole)
        ORDER BY c.relname
    LOOP
        EXECUTE format('GRANT SELECT ON TABLE %s TO readonly_user', relation);
    END LOOP;
END $$;

-- And nothing else on them.
DO $$
DECLARE
    excess record;
BEGIN
    FOR excess IN
        SELECT DISTINCT c.oid::regclass AS relation, a.privilege_type
        FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND pg_has_role(c.relowner, 'USAGE')
          AND a.privilege_type <> 'SELECT' AND a.grantee = 'readonly_user'::regrole
        ORDER BY 1, 2
    LOOP
        EXECUTE format('REVOKE %s ON TABLE %s FROM readonly_user', excess.privilege_type, excess.relation);
    END LOOP;
END $$;

-- Tables that the migrating role creates later.
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO readonly_user;
