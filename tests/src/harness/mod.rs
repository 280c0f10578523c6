//! What the tests stand on: servers, databases, the binary under test, faults.

pub mod back;
pub mod browser;
pub mod catalog;
pub mod changes;
pub mod compose;
pub mod database;
pub mod deploy;
mod expected;
pub mod http;
pub mod image;
pub mod local;
pub mod phases;
pub mod proxy;
pub mod raw;
pub mod release;
pub mod rows;
pub mod server;
pub mod wait;
pub mod watchdog;
pub mod xtask;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use self::compose::Project;
use self::database::Database;
use self::image::{Source, Version};
use self::server::Server;
use self::watchdog::Watchdog;

/// Whether tests shall go through all rounds, however long that takes (`cargo xtask test-migrations --soak`).
pub fn is_soak() -> bool {
    std::env::var_os("XTASK_TEST_SOAK").is_some()
}

/// The servers that all tests share, one a version, started when the first test asks.
pub struct Fleet {
    members: Vec<Member>,
    watchdog: Watchdog,
}

struct Member {
    version: Version,
    source: OnceLock<Source>,
    shared: Mutex<Option<Arc<Server>>>,
    /// Where phases are observed, one after the other.
    observing: Mutex<Option<Arc<Server>>>,
}

impl Fleet {
    /// Starts nothing yet.
    pub fn new() -> Self {
        let watchdog = Watchdog::start();
        watchdog.at_end(&server::removal());
        let members = image::versions()
            .into_iter()
            .map(|version| Member {
                version,
                source: OnceLock::new(),
                shared: Mutex::default(),
                observing: Mutex::default(),
            })
            .collect();
        Fleet { members, watchdog }
    }

    /// What the names of the tests of each version begin with.
    pub fn labels(&self) -> Vec<String> {
        self.members.iter().map(|member| member.version.label.clone()).collect()
    }

    /// Ends every server and waits until nothing is left.
    pub fn end(&self) {
        for member in &self.members {
            for server in [&member.shared, &member.observing] {
                server.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
        self.watchdog.finish();
    }
}

/// What a test gets.
pub struct Context {
    fleet: Arc<Fleet>,
    member: usize,
    skipped: OnceLock<String>,
    left_out: OnceLock<String>,
}

impl Context {
    /// For the version with this index.
    pub fn new(fleet: &Arc<Fleet>, member: usize) -> Self {
        Context {
            fleet: Arc::clone(fleet),
            member,
            skipped: OnceLock::new(),
            left_out: OnceLock::new(),
        }
    }

    /// Marks the test as not run, with the reason.
    pub fn skip(&self, reason: &str) {
        let _ = self.skipped.set(reason.to_owned());
    }

    /// Why it was not run.
    pub fn skipped(&self) -> Option<&str> {
        self.skipped.get().map(String::as_str)
    }

    /// Marks the test as not run because of what this machine cannot have, whatever is installed on it.
    pub fn leave_out(&self, reason: &str) {
        let _ = self.left_out.set(reason.to_owned());
    }

    /// Why it was not run, though nobody could mend that.
    pub fn left_out(&self) -> Option<&str> {
        self.left_out.get().map(String::as_str)
    }

    /// The server that tests share. Its roles are shared too.
    pub fn server(&self) -> Arc<Server> {
        let member = &self.fleet.members[self.member];
        let mut shared = member.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.get_or_insert_with(|| {
            let server = self.start(&[("max_connections", "300")], false);
            // Made once: two tests that make it at the same time would each own it.
            server.admin().batch_execute("CREATE ROLE readonly_user LOGIN").unwrap();
            server
        });
        Arc::clone(server)
    }

    /// An empty database on the shared server.
    pub fn database(&self) -> Database {
        Database::create(&self.server())
    }

    /// A legacy state on the shared server.
    pub fn legacy(&self, name: &str) -> Database {
        Database::legacy(&self.server(), name)
    }

    /// A server of the test's own, to stop or to change.
    pub fn own_server(&self, settings: &[(&str, &str)]) -> Arc<Server> {
        self.start(settings, true)
    }

    /// The image of PostgreSQL; none where no Docker answers.
    pub fn image(&self) -> Option<String> {
        match self.source() {
            Source::Image(image) => Some(image.clone()),
            Source::Local => None,
        }
    }

    /// What ends what the test leaves, however this process ends.
    pub fn watchdog(&self) -> &Watchdog {
        &self.fleet.watchdog
    }

    /// `compose.yaml` under a name of its own, on an image of PostgreSQL.
    pub fn project(&self, name: &str, postgres: &str) -> Project {
        Project::new(name, postgres, self.watchdog())
    }

    fn source(&self) -> &Source {
        let member = &self.fleet.members[self.member];
        member.source.get_or_init(|| member.version.source())
    }

    fn start(&self, settings: &[(&str, &str)], lasting: bool) -> Arc<Server> {
        Server::start_new(self.source(), settings, lasting, &self.fleet.watchdog)
    }
}
