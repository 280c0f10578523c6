use super::*;

fn lines(made: Option<Lines>) -> Vec<String> {
    let made = made.unwrap_or_default().into_iter();
    made.map(|(_, line)| line)
        .filter(|line| !line.starts_with("--"))
        .collect()
}

fn made(id: &str, expected: &str, actual: Option<&str>) -> Vec<String> {
    lines(make(&id.parse().unwrap(), expected, actual))
}

#[test]
fn constraints() {
    let name = "\"c on\" on public.\"T\"";
    assert_eq!(
        lines(constraint(
            name,
            "CHECK ((a > 0))",
            Some("CHECK ((a > 1))"),
            None,
            false
        )),
        [
            "ALTER TABLE public.\"T\" DROP CONSTRAINT IF EXISTS \"c on\";",
            "ALTER TABLE public.\"T\" ADD CONSTRAINT \"c on\" CHECK ((a > 0)) NOT VALID;",
            "ALTER TABLE public.\"T\" VALIDATE CONSTRAINT \"c on\";"
        ]
    );
    let index = "CREATE UNIQUE INDEX u ON public.t USING btree (a) INCLUDE (b)";
    let unique = "UNIQUE (a) INCLUDE (b) DEFERRABLE INITIALLY DEFERRED";
    assert_eq!(
        lines(constraint("u on public.t", unique, None, Some(index), false)),
        [
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS u ON public.t USING btree (a) INCLUDE (b);",
            "DO $do$ BEGIN IF NOT EXISTS (SELECT FROM pg_constraint WHERE conname = 'u' AND conrelid = 'public.t'::regclass) \
             THEN ALTER TABLE public.t ADD CONSTRAINT u UNIQUE USING INDEX u DEFERRABLE INITIALLY DEFERRED; END IF; END $do$;"
        ]
    );
    assert_eq!(
        lines(constraint(
            "u on public.t",
            "PRIMARY KEY (a)",
            Some("PRIMARY KEY (b)"),
            None,
            false
        )),
        [
            "DO $do$ BEGIN IF EXISTS (SELECT FROM pg_constraint WHERE conname = 'u' AND conrelid = 'public.t'::regclass \
             AND pg_get_constraintdef(oid) <> 'PRIMARY KEY (a)') \
             THEN ALTER TABLE public.t DROP CONSTRAINT u, ADD CONSTRAINT u PRIMARY KEY (a); END IF; END $do$;"
        ]
    );
    let key = "FOREIGN KEY (a) REFERENCES public.p(id)";
    assert_eq!(lines(constraint("f on public.t", key, None, None, true)).len(), 2);
    assert_eq!(
        lines(constraint(
            "f on public.t",
            "CHECK ((a > 0)) inherited",
            None,
            None,
            false
        ))
        .len(),
        0
    );
}

#[test]
fn indexes() {
    let plain = "CREATE INDEX i ON public.t USING btree (a)";
    let create = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.t USING btree (a);";
    assert_eq!(made("index public.i", plain, None), [create]);
    assert_eq!(
        made(
            "index public.i",
            plain,
            Some("CREATE INDEX i ON public.t USING btree (b)")
        ),
        ["DROP INDEX CONCURRENTLY IF EXISTS public.i;", create]
    );
    assert_eq!(
        made("index public.i", &format!("{plain} clustered"), Some(plain)),
        ["ALTER TABLE public.t CLUSTER ON i;"]
    );
    assert_eq!(
        made("index public.i", &format!("{plain} WHERE clustered"), None),
        ["CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON public.t USING btree (a) WHERE clustered;"]
    );
    assert!(made("index public.i", &format!("{plain} attached to public.j"), None).is_empty());
    assert_eq!(
        made(
            "index public.i",
            "CREATE INDEX i ON ONLY public.t USING btree (a)",
            None
        ),
        ["CREATE INDEX IF NOT EXISTS i ON public.t USING btree (a);"]
    );
}

#[test]
fn types_and_sequences() {
    assert_eq!(
        made("type public.e", "enum ('a', 'b, c', 'd')", Some("enum ('b, c')")),
        [
            "ALTER TYPE public.e ADD VALUE IF NOT EXISTS 'a' BEFORE 'b, c';",
            "ALTER TYPE public.e ADD VALUE IF NOT EXISTS 'd' AFTER 'b, c';"
        ]
    );
    assert!(made("type public.e", "enum ('a')", Some("enum ('a', 'b')")).is_empty());
    assert_eq!(
        made("type public.e", "enum ('a')", None),
        ["DO $do$ BEGIN IF to_regtype('public.e') IS NULL THEN CREATE TYPE public.e AS ENUM ('a'); END IF; END $do$;"]
    );
    let sequence = "as integer start with 1 increment by 1 minvalue 1 maxvalue 9 cache 1";
    assert_eq!(
        made("sequence public.s", &format!("{sequence} owned by public.t.id"), None),
        [
            format!("CREATE SEQUENCE IF NOT EXISTS public.s {sequence};"),
            "ALTER SEQUENCE public.s OWNED BY public.t.id;".to_owned()
        ]
    );
    assert_eq!(
        made(
            "sequence public.s",
            &format!("{sequence} cycle"),
            Some(&format!("{sequence} owned by public.t.id"))
        ),
        [
            format!("ALTER SEQUENCE public.s {sequence} cycle;"),
            "ALTER SEQUENCE public.s OWNED BY NONE;".to_owned()
        ]
    );
}

#[test]
fn functions_views_triggers_policies() {
    let function =
        "CREATE OR REPLACE FUNCTION public.f()\n RETURNS integer\n LANGUAGE sql\nAS $function$ SELECT 1 $function$\n";
    assert_eq!(
        made("function public.f()", function, None),
        ["CREATE OR REPLACE FUNCTION public.f() RETURNS integer LANGUAGE sql AS $function$ SELECT 1 $function$;"]
    );
    assert!(
        made(
            "function public.f()",
            &function.replace(" SELECT 1 ", "\nSELECT 1\n"),
            None
        )
        .is_empty()
    );
    assert_eq!(
        made("view public.v", "with (security_barrier=true) as SELECT 1 AS a", None),
        ["CREATE OR REPLACE VIEW public.v with (security_barrier=true) as SELECT 1 AS a;"]
    );
    let on = "BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.f()";
    assert_eq!(
        made(
            "trigger g on public.t",
            &format!("CREATE TRIGGER g {on} DISABLED"),
            None
        ),
        [
            format!("CREATE OR REPLACE TRIGGER g {on};"),
            "ALTER TABLE public.t DISABLE TRIGGER g;".to_owned()
        ]
    );
    assert_eq!(
        made(
            "policy p on public.t",
            "permissive for all to the owner, r using ((a = 1))",
            None
        ),
        [
            "DROP POLICY IF EXISTS p ON public.t;",
            "CREATE POLICY p ON public.t AS permissive for all to CURRENT_USER, r using ((a = 1));"
        ]
    );
}

#[test]
fn what_should_be_absent_is_dropped() {
    let dropped = |id: &str| drop(&id.parse().unwrap()).unwrap();
    assert_eq!(
        dropped("column public.t.c"),
        "ALTER TABLE public.t DROP COLUMN IF EXISTS c;"
    );
    assert_eq!(
        dropped("constraint k on public.t"),
        "ALTER TABLE public.t DROP CONSTRAINT IF EXISTS k;"
    );
    assert_eq!(
        dropped("trigger g on public.t"),
        "DROP TRIGGER IF EXISTS g ON public.t;"
    );
    assert_eq!(
        dropped("function public.f(integer)"),
        "DROP FUNCTION IF EXISTS public.f(integer);"
    );
    assert_eq!(drop(&"privilege select on table public.t to r".parse().unwrap()), None);
}
