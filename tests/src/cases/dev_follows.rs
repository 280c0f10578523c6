//! `dev` follows what is saved: phase files, and the backend's sources. A mistake ends nothing; only the end of the
//! database does.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::dev::{Data, Dev, Kind, PATIENCE, any_kind};
use crate::harness::deploy::{Fake, free_address};
use crate::harness::http::get;
use crate::harness::xtask::Xtask;
use crate::harness::{Context, compose, wait};

tests![phase_files, sources_of_the_backend, ends_with_its_database];

const TABLE: &str = "CREATE TABLE events (id bigint PRIMARY KEY, place text);\n";
/// How `dev` begins what it says when a file was followed.
const DONE: &str = "the database is as the files say";

/// A backend that answers on both of its sockets, and ends when it is told to on either.
const SAYS_ONE: &str = r#"
use std::io::{BufRead, BufReader, Write};
use std::os::fd::FromRawFd;
fn serve(socket: i32) {
    let id = std::env::var("DEPLOY_ID").unwrap();
    let listener = unsafe { std::net::TcpListener::from_raw_fd(socket) };
    for client in listener.incoming() {
        let mut client = client.unwrap();
        let lines = BufReader::new(&client).lines().map_while(Result::ok);
        let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        if head.first().is_some_and(|line| line.starts_with("GET /end")) {
            std::process::exit(7);
        }
        let body = format!("{{\"deploy_id\":\"{id}\",\"says\":\"one\"}}");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        let _ = client.write_all(format!("{head}{body}").as_bytes());
    }
}
fn main() {
    std::thread::spawn(|| serve(4));
    std::thread::spawn(|| serve(3));
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
"#;

/// What `dev` has said since a moment.
struct Said<'a> {
    dev: &'a mut Dev,
    from: usize,
}

impl<'a> Said<'a> {
    /// From now on.
    fn by(dev: &'a mut Dev) -> Self {
        let from = dev.running.so_far().len();
        Said { dev, from }
    }

    /// Waits until it has said this, and gives all that it has said.
    #[track_caller]
    fn wait_for(self, text: &str) -> String {
        wait::until(text, PATIENCE, || {
            let said = self.dev.running.so_far();
            assert!(self.dev.running.is_running(), "dev has ended: {said}");
            let said = said.get(self.from..).unwrap_or_default();
            said.contains(text).then(|| said.to_owned())
        })
    }
}

/// `dev` in a workspace, with its phases in `sql`.
fn dev(workspace: &Fake, data: &Data, kind: &Kind) -> Xtask {
    workspace.with(data.dev(kind).phases(&workspace.path().join("sql")))
}

fn phase_files(context: &Context) {
    let Some(kind) = any_kind(context) else { return };
    let (workspace, data) = (Fake::source("fn main() {}"), Data::new(context));
    workspace.write("sql/01_tables.sql", TABLE);
    // There is no expected.json: it is made.
    let mut dev = Dev::start(dev(&workspace, &data, &kind).arg("--no-backend"));
    let expected = || fs::read_to_string(workspace.path().join("sql/expected.json")).unwrap();
    assert!(expected().contains("public.events"));
    let mut client = dev.client();
    let exists = |client: &mut postgres::Client, name: &str| -> bool {
        let query = "SELECT to_regclass($1) IS NOT NULL";
        client.query_one(query, &[&name]).unwrap().get(0)
    };

    let said = Said::by(&mut dev);
    workspace.write("sql/02_venues.sql", "CREATE TABLE venues (id bigint, name text);\n");
    let said = said.wait_for(DONE);
    for text in [
        "02_venues.sql changed",
        "+ table public.venues",
        "the first 1 as observed before",
    ] {
        assert!(said.contains(text), "{text:?}: {said}");
    }
    assert!(exists(&mut client, "venues") && expected().contains("public.venues"));

    // A mistake of the server's, and one that nobody sends.
    for (wrong, marked) in [
        ("CREATE VIEW names AS SELECT nam FROM venues;", "SELECT nam"),
        ("CREATE INDEX venues_name ON venues (\"nam);", "\"nam);"),
    ] {
        let said = Said::by(&mut dev);
        workspace.write("sql/03_indexes.sql", wrong);
        let said = said.wait_for("waiting for the next change");
        let mut lines = said.lines().skip_while(|line| !line.contains(marked));
        let (line, caret) = (lines.next().expect(marked), lines.next().expect("a line below"));
        assert!(
            caret.trim_end().ends_with('^') && caret.len() <= line.len() + 2,
            "{said}"
        );
        assert!(!exists(&mut client, "venues_name"));
    }
    let said = Said::by(&mut dev);
    workspace.write("sql/03_indexes.sql", "CREATE INDEX venues_name ON venues (name);\n");
    said.wait_for(DONE);
    assert!(exists(&mut client, "venues_name"));

    // What the files say otherwise, or no more, with the values kept.
    client
        .batch_execute("INSERT INTO events VALUES (1, 'Berlin'); INSERT INTO venues VALUES (1, 'Lido')")
        .unwrap();
    let said = Said::by(&mut dev);
    fs::remove_file(workspace.path().join("sql/02_venues.sql")).unwrap();
    fs::remove_file(workspace.path().join("sql/03_indexes.sql")).unwrap();
    workspace.write(
        "sql/01_tables.sql",
        &TABLE.replace("place text", "place text DEFAULT 'here'"),
    );
    said.wait_for(DONE);
    assert!(!exists(&mut client, "venues"));
    let kept: i64 = client
        .query_one(
            "SELECT count(*) FROM migration.quarantine q WHERE q::text LIKE '%Lido%'",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(kept, 1);
    let place: String = client
        .query_one("INSERT INTO events (id) VALUES (2) RETURNING place", &[])
        .unwrap()
        .get(0);
    assert_eq!(place, "here");

    drop(client);
    dev.running.signal(Signal::INT);
    dev.running.wait().ends(0).says("stopping");
}

/// What the backend answers now.
fn answer(address: SocketAddr) -> Option<String> {
    get(address, "/").map(|(_, body)| body)
}

fn wait_for_answer(address: SocketAddr, text: &str) {
    wait::until_true(text, PATIENCE, || {
        answer(address).is_some_and(|body| body.contains(text))
    });
}

fn sources_of_the_backend(context: &Context) {
    let Some(kind) = any_kind(context) else { return };
    let (workspace, data) = (Fake::source(SAYS_ONE), Data::new(context));
    workspace.write("sql/01_tables.sql", TABLE);
    let address = free_address();
    let save = |from: &str, to: &str| workspace.write("src/main.rs", &SAYS_ONE.replace(from, to));
    let mut dev = Dev::start(dev(&workspace, &data, &kind).args(["--bind", &address.to_string()]));
    assert!(answer(address).expect("it answers").contains("one"));

    let said = Said::by(&mut dev);
    save("one", "two");
    said.wait_for("src/main.rs changed");
    wait_for_answer(address, "two");

    let said = Said::by(&mut dev);
    save("fn main() {", "fn main() { let x: u8 = \"\";");
    let said = said.wait_for("goes on serving; waiting for the next change");
    assert!(said.contains("mismatched types"), "{said}");
    assert!(answer(address).expect("it answers").contains("two"));

    save("one", "three");
    wait_for_answer(address, "three");

    // What is no part of the program: the one that serves stays.
    let said = Said::by(&mut dev);
    workspace.write("notes.txt", "to do");
    said.wait_for("the backend is as it was");

    // Both at once; one does not wait for the other.
    let said = Said::by(&mut dev);
    workspace.write("sql/02_venues.sql", "CREATE TABLE venues (id bigint);\n");
    save("one", "four");
    said.wait_for(DONE);
    wait_for_answer(address, "four");

    let said = Said::by(&mut dev);
    let _ = get(address, "/end");
    said.wait_for("the backend has ended by itself");
    save("one", "five");
    wait_for_answer(address, "five");

    dev.running.signal(Signal::INT);
    dev.running.wait().ends(0);
    assert!(TcpStream::connect(address).is_err(), "the backend is still there");
}

/// The server of `dev` ends as when memory runs out.
fn kill_server(dev: &Dev, data: &Path, kind: &Kind) {
    if let Kind::Docker(_) = kind {
        // A scratch server waits for the next save: that is another container.
        let port = format!("publish={}", dev.address().port());
        let container = compose::ask(&["ps", "--quiet", "--filter", &port]);
        compose::ask(&["kill", container.trim()]);
        return;
    }
    let files = fs::read_dir(data).unwrap().flatten();
    let file = files
        .map(|entry| entry.path().join("data/postmaster.pid"))
        .find(|file| file.exists())
        .expect("a server runs");
    let text = fs::read_to_string(file).unwrap();
    let pid = text.lines().next().and_then(|line| Pid::from_raw(line.parse().ok()?));
    kill_process(pid.expect("its number"), Signal::QUIT).unwrap();
}

fn ends_with_its_database(context: &Context) {
    let Some(kind) = any_kind(context) else { return };
    let (workspace, data) = (Fake::source(SAYS_ONE), Data::new(context));
    workspace.write("sql/01_tables.sql", TABLE);
    let address = free_address();
    let dev = Dev::start(dev(&workspace, &data, &kind).args(["--bind", &address.to_string()]));
    kill_server(&dev, data.0.path(), &kind);
    dev.running
        .wait()
        .ends(1)
        .says("the database is gone")
        .says_one_of(&["the server has ended", "its container has ended"]);
    assert!(TcpStream::connect(address).is_err(), "the backend is still there");
}
