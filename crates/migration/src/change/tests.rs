//! Scripts and forms, without a server.

use super::*;

fn catalog(objects: &[(&str, &str)]) -> Definitions {
    let objects = objects
        .iter()
        .map(|(id, definition)| (id.parse().unwrap(), (*definition).to_owned()));
    objects.collect()
}

fn sql(before: &[(&str, &str)], after: &[(&str, &str)]) -> String {
    let script = script(&catalog(before), &catalog(after));
    assert_eq!(script.impossible, []);
    script
        .steps
        .into_iter()
        .map(|step| step.sql)
        .collect::<Vec<_>>()
        .join(";\n")
}

fn of(changes: &[(&str, Option<&str>, Option<&str>)]) -> Option<String> {
    let text = |text: &Option<&str>| text.map(ToOwned::to_owned);
    let changes: Vec<Change> = changes
        .iter()
        .map(|(id, before, after)| (id.parse().unwrap(), text(before), text(after)))
        .collect();
    form(&changes, &Definitions::new()).map(|steps| steps.join(";\n"))
}

#[test]
fn keys_are_built_as_indexes_first() {
    let index = Some("CREATE UNIQUE INDEX t_a_key ON public.t USING btree (a)");
    assert_eq!(
        of(&[
            ("constraint t_a_key on public.t", None, Some("UNIQUE (a) DEFERRABLE")),
            ("index public.t_a_key", None, index),
        ])
        .as_deref(),
        Some(
            "CREATE UNIQUE INDEX CONCURRENTLY t_a_key ON public.t USING btree (a);\n\
             ALTER TABLE public.t ADD CONSTRAINT t_a_key UNIQUE USING INDEX t_a_key DEFERRABLE"
        )
    );
}

#[test]
fn what_reads_the_table_comes_later() {
    assert_eq!(
        of(&[("constraint c on public.t", None, Some("CHECK ((a > 0))"))]).as_deref(),
        Some(
            "ALTER TABLE public.t ADD CONSTRAINT c CHECK ((a > 0)) NOT VALID;\n\
             ALTER TABLE public.t VALIDATE CONSTRAINT c"
        )
    );
    let steps = of(&[("column public.t.a", Some("integer"), Some("integer not null"))]).unwrap();
    assert!(
        steps.contains("CHECK (a IS NOT NULL) NOT VALID") && steps.contains("DROP CONSTRAINT"),
        "{steps}"
    );
}

#[test]
fn what_has_no_online_form() {
    assert_eq!(of(&[("column public.t.a", Some("integer"), Some("bigint"))]), None);
    let other = ("column public.t.a", Some("integer"), Some("integer default 1"));
    let check = ("constraint c on public.t", None, Some("CHECK ((a > 0))"));
    assert_eq!(of(&[other, check]), None);
}

#[test]
fn what_rests_on_a_view_that_is_made_anew_goes_and_comes_with_it() {
    let table = [
        ("table public.t", ""),
        ("column public.t.a", "integer"),
        ("column public.t.b", "text"),
    ];
    let inner = ("view public.v", "as SELECT a,\n    b\n   FROM public.t");
    let outer = ("view public.w", "as SELECT a\n   FROM public.v");
    let rights = ("privilege select on view public.w to reader", "granted");
    let before = [&table[..], &[inner, outer, rights]].concat();
    let less = ("view public.v", "as SELECT b\n   FROM public.t");
    let after = [&table[..], &[less, outer, rights]].concat();
    assert_eq!(
        sql(&before, &after),
        "DROP VIEW public.w;\nDROP VIEW public.v;\nCREATE VIEW public.v AS SELECT b\n   FROM public.t;\n\
         CREATE VIEW public.w AS SELECT a\n   FROM public.v;\nGRANT select ON TABLE public.w TO reader"
    );
    let more = ("view public.v", "as SELECT a,\n    b,\n    1 AS c\n   FROM public.t");
    let after = [&table[..], &[more, outer, rights]].concat();
    assert!(sql(&before, &after).starts_with("CREATE OR REPLACE VIEW public.v AS"));
}

#[test]
fn a_sequence_and_its_column_name_each_other() {
    let after = [
        ("table public.t", ""),
        (
            "column public.t.id",
            "integer not null default nextval('public.t_id_seq'::regclass)",
        ),
        (
            "sequence public.t_id_seq",
            "as integer start with 1 increment by 1 minvalue 1 maxvalue 9 cache 1 owned by public.t.id",
        ),
    ];
    let made = sql(&[], &after);
    let order = ["CREATE SEQUENCE", "CREATE TABLE", "OWNED BY"].map(|part| made.find(part).unwrap());
    assert!(order.is_sorted(), "{made}");
    // It goes with the table.
    assert_eq!(sql(&after, &[]), "DROP TABLE public.t");
}

#[test]
fn what_may_lose_values_says_so() {
    let loses = |before: &[(&str, &str)], after: &[(&str, &str)]| {
        script(&catalog(before), &catalog(after))
            .steps
            .iter()
            .any(|step| step.loses)
    };
    let column = |kind| [("table public.t", ""), ("column public.t.a", kind)];
    assert!(loses(&column("integer"), &column("integer")[..1]));
    assert!(loses(&column("integer"), &[]));
    assert!(loses(&column("bigint"), &column("integer")));
    assert!(!loses(&column("integer"), &column("bigint")));
    assert!(!loses(&column("character varying(10)"), &column("text")));
    assert!(!loses(&column("numeric(10,2)"), &column("numeric(12,4)")));
    assert!(loses(&column("numeric(10,2)"), &column("numeric(10,4)")));
    assert!(!loses(&column("integer"), &column("integer not null")));
    let generated = "integer generated always as ((b * 2)) stored";
    assert!(!loses(&column(generated), &column(generated)[..1]));
}

#[test]
fn what_cannot_be_is_named() {
    let script = script(&catalog(&[]), &catalog(&[("subscription s", "publication p enabled")]));
    assert_eq!(script.impossible[0].id.to_string(), "subscription s");
    let partitioned = catalog(&[("table public.t", "partition by RANGE (a)")]);
    let script = super::script(&partitioned, &catalog(&[("table public.t", "")]));
    assert_eq!((script.steps.len(), script.impossible.len()), (0, 1));
}
