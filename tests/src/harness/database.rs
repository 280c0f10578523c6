//! One database of a server with an owner of its own: what each test works on.

use std::sync::Arc;
use std::time::Duration;

use postgres::error::SqlState;
use postgres::{Client, Config, NoTls};

use super::server::Server;
use super::wait;

/// A database, removed when dropped.
pub struct Database {
    /// The server's address.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database's name.
    pub name: String,
    /// The role that owns it, that may create roles and is no superuser.
    pub owner: String,
    /// The owner's password.
    pub password: String,
    /// At its end all its runs are taken back: see [`super::back::to_the_beginning`].
    pub goes_back: bool,
    server: Arc<Server>,
}

impl Database {
    /// Makes an empty one.
    pub fn create(server: &Arc<Server>) -> Self {
        let number = server.next();
        let database = Database {
            host: server.host.clone(),
            port: server.port,
            name: format!("test_{number}"),
            owner: format!("owner_{number}"),
            password: format!("owner-secret-{number}"),
            goes_back: true,
            server: Arc::clone(server),
        };
        let mut admin = server.admin();
        let (name, owner, password) = (&database.name, &database.owner, &database.password);
        run(
            &mut admin,
            &format!("CREATE ROLE {owner} LOGIN CREATEROLE PASSWORD '{password}'"),
        );
        database.adopt_readonly_user(&mut admin);
        run(&mut admin, &format!("CREATE DATABASE {name} OWNER {owner}"));
        database
    }

    /// Since PostgreSQL 16 a role that may create roles alters only those that it administers;
    /// tests share the server's `readonly_user`, which the first of them made.
    fn adopt_readonly_user(&self, admin: &mut Client) {
        let exists = admin
            .query_opt("SELECT FROM pg_roles WHERE rolname = 'readonly_user'", &[])
            .unwrap()
            .is_some();
        if exists {
            run(
                admin,
                &format!("GRANT readonly_user TO {} WITH ADMIN OPTION", self.owner),
            );
        }
    }

    /// One that holds the state of `fixtures/legacy/NAME.sql`, owned by its owner.
    pub fn legacy(server: &Arc<Server>, name: &str) -> Self {
        let database = Self::create(server);
        let path = super::xtask::fixture(&format!("legacy/{name}.sql"));
        let state = std::fs::read_to_string(path).expect("the fixture is there");
        let mut admin = server.admin();
        let owner = &database.owner;
        run(&mut admin, &format!("ALTER ROLE {owner} SUPERUSER"));
        // Statements one by one would need a splitter; psql's way is to send what the file says.
        database
            .connect()
            .batch_execute(&state)
            .expect("the legacy state loads");
        run(&mut admin, &format!("ALTER ROLE {owner} NOSUPERUSER"));
        database.adopt_readonly_user(&mut admin);
        database
    }

    /// Another one with the same content and the same owner; nobody may be connected to this one.
    pub fn copy(&self) -> Self {
        let name = format!("test_{}", self.server.next());
        let statement = format!("CREATE DATABASE {name} TEMPLATE {} OWNER {}", self.name, self.owner);
        self.wait_until_alone(Duration::from_secs(10));
        self.server.admin().batch_execute(&statement).expect("a copy");
        Database {
            host: self.host.clone(),
            port: self.port,
            name,
            owner: self.owner.clone(),
            password: self.password.clone(),
            goes_back: true,
            server: Arc::clone(&self.server),
        }
    }

    /// The server that it lives on.
    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// The owner's settings.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .user(&self.owner)
            .password(&self.password)
            .dbname(&self.name)
            .application_name("application")
            .connect_timeout(Duration::from_secs(5));
        config
    }

    /// The owner's connection, as the application has one.
    pub fn connect(&self) -> Client {
        self.config().connect(NoTls).expect("the owner connects")
    }

    /// The owner's connection to another database of the server.
    pub fn in_database(&self, name: &str) -> Client {
        self.config().dbname(name).connect(NoTls).expect("the owner connects")
    }

    /// A superuser's connection.
    pub fn admin(&self) -> Client {
        self.server
            .superuser(&self.name)
            .connect(NoTls)
            .expect("the superuser connects")
    }

    /// Lets the owner do everything.
    pub fn make_superuser(&self) {
        run(
            &mut self.server.admin(),
            &format!("ALTER ROLE {} SUPERUSER", self.owner),
        );
    }

    /// Runs SQL in psql, as the owner; it stops at the first error.
    pub fn psql(&self, sql: &str) {
        let role = format!("SET SESSION AUTHORIZATION {}", self.owner);
        let arguments = [
            "-X",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &self.name,
            "-c",
            &role,
            "-f",
            "-",
        ];
        self.server.tool("psql", &arguments, sql);
    }

    /// The URL of the owner.
    pub fn url(&self) -> String {
        let Database {
            host,
            port,
            name,
            owner,
            password,
            ..
        } = self;
        format!("postgresql://{owner}:{password}@{host}:{port}/{name}")
    }

    /// Waits until a session of this database is as `condition` (on `pg_stat_activity`) says and
    /// gives its process id.
    pub fn wait_for_session(&self, condition: &str) -> i32 {
        let mut admin = self.server.admin();
        let query = format!(
            "SELECT pid FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid() \
             AND application_name <> 'tests' AND ({condition}) LIMIT 1",
            self.name
        );
        wait::until(condition, Duration::from_secs(30), || {
            admin
                .query_opt(&query, &[])
                .expect("the server answers")
                .map(|row| row.get(0))
        })
    }

    /// Waits until no session but the harness's own is left.
    pub fn wait_until_alone(&self, deadline: Duration) {
        let mut admin = self.server.admin();
        wait::until_true("an end of all sessions", deadline, || {
            let count: i64 = admin
                .query_one(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 \
                     AND backend_type = 'client backend' AND application_name <> 'tests'",
                    &[&self.name],
                )
                .expect("the server answers")
                .get(0);
            count == 0
        });
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if self.goes_back && !std::thread::panicking() {
            super::back::to_the_beginning(self);
        }
        // A test may have ended the server: then there is nothing to clean.
        if let Ok(mut admin) = self.server.superuser("postgres").connect(NoTls) {
            let _ = admin.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
            let _ = admin.batch_execute(&format!("DROP ROLE {}", self.owner));
        }
    }
}

/// Runs a statement on roles, which all tests of a server change at the same time.
fn run(admin: &mut Client, statement: &str) {
    wait::until(statement, Duration::from_secs(10), || {
        match admin.batch_execute(statement) {
            Ok(()) => Some(()),
            // "tuple concurrently updated"
            Err(error) if error.code() == Some(&SqlState::INTERNAL_ERROR) => None,
            Err(error) => panic!("{statement}: {error:?}"),
        }
    });
}
