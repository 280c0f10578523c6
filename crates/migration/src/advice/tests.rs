use super::*;
use crate::expected::Effect;

fn expected(statements: &[&[(&str, Option<&str>)]]) -> Expected {
    let leaves = |objects: &&[(&str, Option<&str>)]| Effect {
        objects: objects
            .iter()
            .map(|(id, state)| (id.parse().unwrap(), state.map(ToOwned::to_owned)))
            .collect(),
        ..Effect::default()
    };
    let statements: Vec<Effect> = statements.iter().map(leaves).collect();
    Expected {
        objects: statements.iter().flat_map(|effect| effect.objects.clone()).collect(),
        statements,
        ..Expected::default()
    }
}

fn catalog(objects: &[(&str, &str)]) -> Catalog {
    let objects = objects
        .iter()
        .map(|(id, definition)| (id.parse().unwrap(), (*definition).to_owned()));
    objects.collect()
}

fn statement(text: &str) -> Statement {
    Statement::plain("01.sql", 7, text)
}

/// What is advised where one statement, of this text, leaves these objects.
fn advised(text: &str, leaves: &[(&str, Option<&str>)], actual: &[(&str, &str)]) -> Vec<String> {
    let expected = expected(&[leaves]);
    let statement = statement(text);
    let next = not_converged(&expected, &[&statement], &expected.differences(&catalog(actual)));
    next.text(Hint::words).lines().map(ToOwned::to_owned).collect()
}

const HEAD: &str = "add to the phases, then observe them and migrate again:";
const TAIL: &str = "then observe them and migrate again";

#[test]
fn serial_comes_with_its_sequence() {
    let sequence = "as integer start with 1 increment by 1 minvalue 1 maxvalue 9 cache 1 owned by public.t.id";
    let leaves: &[_] = &[
        (
            "column public.t.id",
            Some("integer not null default nextval('public.t_id_seq'::regclass)"),
        ),
        ("sequence public.t_id_seq", Some(sequence)),
        ("table public.t", Some("")),
    ];
    let lines = [
        "CREATE SEQUENCE IF NOT EXISTS public.t_id_seq as integer start with 1 increment by 1 minvalue 1 maxvalue 9 cache 1;",
        "ALTER TABLE public.t ADD COLUMN IF NOT EXISTS id integer not null default nextval('public.t_id_seq'::regclass);",
        "ALTER SEQUENCE public.t_id_seq OWNED BY public.t.id;",
    ];
    assert_eq!(advised("CREATE TABLE", leaves, &[("table public.t", "")])[1..], lines);
    assert_eq!(
        missing_columns(&expected(&[leaves]), 1, &catalog(&[("table public.t", "")])),
        lines
    );
}

#[test]
fn a_constraint_brings_its_index_and_a_table_what_is_on_it() {
    let leaves: &[_] = &[
        ("constraint t_key on public.t", Some("UNIQUE (a)")),
        (
            "index public.t_key",
            Some("CREATE UNIQUE INDEX t_key ON public.t USING btree (a)"),
        ),
        ("table public.t", Some("")),
        ("column public.gone.a", Some("integer")),
        (
            "index public.gone_a",
            Some("CREATE INDEX gone_a ON public.gone USING btree (a)"),
        ),
        ("sequence public.gone_seq", Some("as integer owned by public.gone.a")),
        ("table public.gone", Some("")),
    ];
    let advice = advised("CREATE TABLE", leaves, &[("table public.t", "")]);
    assert_eq!(advice.len(), 4, "{advice:?}");
    assert!(
        advice[0].starts_with("table public.gone (01.sql:7) was made and is gone"),
        "{advice:?}"
    );
    assert_eq!(advice[1], HEAD);
    assert!(
        advice[2].starts_with("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_key"),
        "{advice:?}"
    );
    assert!(
        advice[3].contains("ADD CONSTRAINT t_key UNIQUE USING INDEX t_key"),
        "{advice:?}"
    );
}

#[test]
fn a_partition_gets_what_its_parent_gets() {
    let leaves: &[_] = &[
        ("column public.p.a", Some("integer")),
        ("column public.p1.a", Some("integer")),
        ("column public.p1.own", Some("integer")),
        ("column public.child.a", Some("integer inherited")),
        ("constraint c on public.p", Some("CHECK ((a > 0))")),
        ("constraint c on public.p1", Some("CHECK ((a > 0))")),
        ("table public.child", Some("inherits public.p")),
        ("table public.p", Some("partition by RANGE (b)")),
        (
            "table public.p1",
            Some("partition of public.p FOR VALUES FROM (1) TO (2)"),
        ),
    ];
    let tables: Vec<(&str, &str)> = leaves[6..].iter().map(|(id, state)| (*id, state.unwrap())).collect();
    let advice = advised("CREATE TABLE", leaves, &tables);
    assert_eq!(
        advice,
        [
            HEAD,
            "ALTER TABLE public.p ADD COLUMN IF NOT EXISTS a integer;",
            "ALTER TABLE public.p1 ADD COLUMN IF NOT EXISTS own integer;",
            "ALTER TABLE public.p DROP CONSTRAINT IF EXISTS c;",
            "ALTER TABLE public.p ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID;",
            "ALTER TABLE public.p VALIDATE CONSTRAINT c;",
        ]
    );
    let columns = missing_columns(&expected(&[leaves]), 1, &catalog(&tables));
    assert_eq!(columns, advice[1..3]);
}

#[test]
fn no_line_for_a_column_that_goes_again() {
    let first: &[_] = &[
        ("column public.t.a", Some("integer")),
        ("column public.t.b", Some("integer")),
        ("column public.u.a", Some("integer")),
        ("table public.t", Some("")),
        ("table public.u", Some("")),
    ];
    let expected = expected(&[first, &[("column public.t.a", None)], &[("table public.t", Some(""))]]);
    assert_eq!(
        missing_columns(&expected, 1, &catalog(&[("table public.t", "")])),
        ["ALTER TABLE public.t ADD COLUMN IF NOT EXISTS b integer;"]
    );
}

#[test]
fn the_sentence_is_about_the_kind_of_object() {
    let f = "CREATE OR REPLACE FUNCTION public.f()\n LANGUAGE sql\nAS $$ SELECT 1 $$\n";
    let function: &[_] = &[("function public.f()", Some(f))];
    let other = &[("function public.f()", "CREATE OR REPLACE FUNCTION other")];
    assert_eq!(
        advised("CREATE FUNCTION f() …", function, other),
        [
            "01.sql:7: write CREATE OR REPLACE FUNCTION instead of CREATE FUNCTION, so that it replaces what is there",
            TAIL
        ]
    );
    assert_eq!(
        advised("DO", function, other),
        [
            HEAD,
            "CREATE OR REPLACE FUNCTION public.f() LANGUAGE sql AS $$ SELECT 1 $$;"
        ]
    );
    let extension = advised("CREATE EXTENSION x", &[("extension x", Some("schema public"))], &[]);
    assert!(extension[0].contains("-- xtask: optional"), "{extension:?}");
    assert_eq!(
        advised(
            "DROP TABLE t",
            &[("table public.t", None), ("column public.t.a", None)],
            &[("table public.t", ""), ("column public.t.a", "integer"),]
        )[1..],
        [
            "-- what it holds is lost: look at it first",
            "DROP TABLE IF EXISTS public.t;"
        ]
    );
    let table = advised(
        "CREATE UNLOGGED TABLE IF NOT EXISTS t ()",
        &[("table public.t", Some("unlogged"))],
        &[("table public.t", "")],
    );
    assert!(table[0].contains("IF NOT EXISTS left it"), "{table:?}");
    let rule = advised("CREATE RULE", &[("rule r on public.t", Some("CREATE RULE …"))], &[]);
    assert!(!rule[0].contains("IF NOT EXISTS"), "{rule:?}");
}

#[test]
fn identities_are_cut_where_names_end() {
    assert_eq!(
        split_at_last_dot("public.\"T.t\".\"a.b\""),
        Some(("public.\"T.t\"", "\"a.b\""))
    );
    assert_eq!(
        split_on("\"a on b\" on public.\"c on d\""),
        Some(("\"a on b\"", "public.\"c on d\""))
    );
    assert_eq!(unquoted("\"a\"\"b\""), "a\"b");
    assert_eq!(literal("it's \\"), " E'it''s \\\\'");
}
