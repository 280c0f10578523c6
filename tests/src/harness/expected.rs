//! Expected catalogs of phases that a test makes up, and the commands that read them.

use std::fs;
use std::path::Path;
use std::sync::PoisonError;

use migration::Phases;
use migration::expected::FILE;
use migration::snapshot::{Completed, Record};

use super::Context;
use super::database::Database;
use super::image::Source;
use super::server::{PASSWORD, Server};
use super::xtask::{Output, Xtask};

impl Context {
    /// Writes `expected.json` beside the phases, as `xtask snapshot` does, on a server that is kept for it: nobody
    /// else makes roles there meanwhile, which all databases of a server see.
    pub fn observe(&self, directory: &Path) {
        let member = &self.fleet.members[self.member];
        let mut observing = member.observing.lock().unwrap_or_else(PoisonError::into_inner);
        let server = observing.get_or_insert_with(|| self.start(&[("shared_preload_libraries", "")], false));
        let mut admin = server.admin();
        for database in ["observed", "online"] {
            drop_database(server, database);
        }
        let roles = "SELECT quote_ident(rolname) FROM pg_roles WHERE oid <> 10 AND rolname !~ '^pg_'";
        for role in admin.query(roles, &[]).unwrap() {
            admin
                .batch_execute(&format!("DROP ROLE {}", role.get::<_, &str>(0)))
                .unwrap();
        }
        // Not by the server's own superuser, which phases may name.
        admin
            .batch_execute(&format!("CREATE ROLE observer SUPERUSER LOGIN PASSWORD '{PASSWORD}'"))
            .unwrap();
        let phases = Phases::read(directory).unwrap_or_else(|error| panic!("{error}"));
        let sessions = |database: &str| {
            let mut admin = server.admin();
            admin
                .batch_execute(&format!("CREATE DATABASE {database} OWNER observer"))
                .unwrap();
            let mut config = server.superuser(database);
            let mut connect = || config.user("observer").connect(postgres::NoTls).unwrap();
            [connect(), connect()]
        };
        let [mut client, observer] = sessions("observed");
        let mut record = Record::default();
        let completed = record
            .complete(
                &mut client,
                observer,
                &|| Ok(sessions("online")),
                &phases,
                &|_, _, _| {},
            )
            .unwrap_or_else(|error| panic!("snapshot: {error}"));
        // Not by reading everything after each statement.
        assert!(matches!(completed, Completed::Done), "{completed:?}");
        let mut observed = record.observation(&phases);
        let file = directory.join(FILE);
        observed
            .expected
            .succeed(fs::read_to_string(&file).ok().as_deref())
            .unwrap();
        fs::write(file, observed.expected.text().unwrap()).unwrap();
    }

    /// `xtask snapshot --cold ARGS…`, on a scratch server of the version that is tested on.
    pub fn snapshot(&self, directory: &Path, arguments: &[&str]) -> Output {
        self.snapshot_call(directory).arg("--cold").args(arguments).run()
    }

    /// `xtask snapshot`, on a scratch server of the version that is tested on, to be added to.
    pub fn snapshot_call(&self, directory: &Path) -> Xtask {
        self.with_scratch_server(Xtask::new(["snapshot"]).phases(directory))
    }

    /// The settings with which a call starts scratch servers of the version that is tested on.
    pub fn with_scratch_server(&self, xtask: Xtask) -> Xtask {
        let member = &self.fleet.members[self.member];
        let xtask = match member.source.get_or_init(|| member.version.source()) {
            Source::Image(image) => xtask.env("XTASK_POSTGRES", "docker").env("XTASK_POSTGRES_IMAGE", image),
            Source::Local => xtask.env("XTASK_POSTGRES", "local"),
        };
        ["DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT"]
            .into_iter()
            .filter_map(|name| Some((name, std::env::var_os(name)?)))
            .fold(xtask, |xtask, (name, value)| xtask.env(name, value))
    }
}

impl Xtask {
    /// `xtask verify` on a database, by its owner.
    pub fn verify(database: &Database) -> Self {
        Self::new(["verify"]).on(database)
    }

    /// `xtask plan` on a database, by its owner.
    pub fn plan(database: &Database) -> Self {
        Self::new(["plan"]).on(database)
    }

    /// Phases other than the workspace's, with an expected catalog beside them.
    pub fn phases(self, directory: &Path) -> Self {
        self.env("XTASK_SQL", directory)
    }
}

fn drop_database(server: &Server, database: &str) {
    // One with a subscription cannot be dropped.
    if let Ok(mut left) = server.superuser(database).connect(postgres::NoTls) {
        for row in left
            .query("SELECT quote_ident(subname) FROM pg_subscription", &[])
            .unwrap()
        {
            let name: String = row.get(0);
            for what in [
                format!("ALTER SUBSCRIPTION {name} DISABLE"),
                format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)"),
                format!("DROP SUBSCRIPTION {name}"),
            ] {
                left.batch_execute(&what).unwrap();
            }
        }
    }
    server
        .admin()
        .batch_execute(&format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))
        .unwrap();
}
