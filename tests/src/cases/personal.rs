//! What the backend tells of events: nothing that is personal, whoever asks for what.

use std::fmt::Write as _;

use serde_json::Value;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::deploy::Deployed;
use crate::harness::raw::{answer, end};

tests![personal_data_stays_inside];

/// Requests for what is not there, or for nobody.
#[rustfmt::skip]
const CURIOUS: [&str; 11] = [
    "/api/events/rec150", "/api/events/rec000?fields=email", "/api/events?fields=email", "/api/events?email=a",
    "/api/events?after=%00", "/api/events/%FF", "/api/events/rec000/attendees", "/api/attendees", "/api/admins",
    "/api/events/'%20OR%20true--", "/api/events?after='%20UNION%20SELECT%20email%20FROM%20attendees--",
];

/// What anybody may see of an approved event.
#[rustfmt::skip]
const PUBLIC: [&str; 16] = [
    "airtable_id", "event_name", "slug", "city", "state", "country", "lat", "long", "event_format", "start_date",
    "end_date", "registration_deadline", "estimated_attendee_count", "max_attendees", "has_confirmed_venue",
    "updated_at",
];

/// Neither the names of other columns nor what stands in them, whoever asks for what.
fn personal_data_stays_inside(context: &Context) {
    let database = context.database();
    let deployed = Deployed::new(&database);
    let private = fill(&database);
    for name in [
        "email",
        "poc_first_name",
        "street_address",
        "notes",
        "dob",
        "phone",
        "emergency_contact_1_name",
    ] {
        assert!(private.iter().any(|column| column == name), "no column {name}");
    }
    let ask = |target: &str| {
        let (status, answer) = answer(deployed.address, "GET", target, "");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head");
        for column in &private {
            assert!(
                !answer.contains(&format!("\"{column}\"")),
                "{column} in the answer to {target}: {answer}"
            );
        }
        for content in ["secret", "12.345", "1999-09-09"] {
            assert!(
                !answer.contains(content),
                "{content} in the answer to {target}: {answer}"
            );
        }
        let body: Value = serde_json::from_str(body).expect("JSON");
        (status, body)
    };
    let mut ids = Vec::new();
    let mut target = "/api/events?limit=100".to_owned();
    loop {
        let (status, page) = ask(&target);
        assert_eq!(status, 200, "{page}");
        for event in page["events"].as_array().expect("events") {
            let names: Vec<_> = event.as_object().expect("an event").keys().collect();
            assert!(names.iter().all(|name| PUBLIC.contains(&name.as_str())), "{names:?}");
            ids.push(event["airtable_id"].as_str().expect("an id").to_owned());
        }
        let Some(next) = page["next"].as_str() else { break };
        assert!(ids.len() < 1_000, "pages without an end");
        target = "/api/events?limit=100&after=".to_owned();
        for byte in next.bytes() {
            write!(target, "%{byte:02X}").unwrap();
        }
    }
    let approved: Vec<_> = (0..150).map(|n| format!("rec{n:03}")).collect();
    assert_eq!(ids, approved);
    assert_eq!(ask("/api/events/rec000").0, 200);
    for target in CURIOUS {
        let (status, body) = ask(target);
        assert!(
            status >= 400 || body["events"].is_array(),
            "{status} for {target}: {body}"
        );
    }
    end(deployed);
}

/// Makes 150 approved events and 50 others, with an attendee each, each private column filled; gives the names of these.
fn fill(database: &Database) -> Vec<String> {
    let mut client = database.connect();
    let query = "SELECT attrelid::regclass::text, attname::text, format_type(atttypid, NULL) FROM pg_attribute \
                 WHERE attrelid = ANY (ARRAY['public.events', 'public.attendees']::regclass[]) \
                 AND attnum > 0 AND NOT attisdropped";
    let columns: Vec<(String, String, String)> = client
        .query(query, &[])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    for table in ["events", "attendees"] {
        let mut names = "airtable_id".to_owned();
        let mut values = "'rec' || to_char(n, 'FM000')".to_owned();
        let mut add = |name: &str, value: &str| {
            write!(names, ", {name}").unwrap();
            write!(values, ", {value}").unwrap();
        };
        if table == "events" {
            add("event_name", "'event ' || n");
            add(
                "triage_status",
                "(CASE WHEN n < 150 THEN 'approved' ELSE 'pending' END)::public.triage_status_type",
            );
            add("lat", "12.3456789");
            add("long", "12.3456789");
        } else {
            add("event_airtable_id", "'rec' || to_char(n, 'FM000')");
        }
        let of_table = columns
            .iter()
            .filter(|(of, ..)| of.trim_start_matches("public.") == table);
        for (_, name, kind) in of_table {
            match kind.as_str() {
                _ if PUBLIC.contains(&name.as_str()) || name == "event_airtable_id" => {}
                "text" | "character varying" => add(name, &format!("'secret {name:.30}'")),
                "date" => add(name, "'1999-09-09'"),
                _ => {}
            }
        }
        let insert = format!("INSERT INTO public.{table} ({names}) SELECT {values} FROM generate_series(0, 199) AS n");
        client.batch_execute(&insert).unwrap();
    }
    let names = columns.into_iter().map(|(_, name, _)| name);
    names.filter(|name| !PUBLIC.contains(&name.as_str())).collect()
}
