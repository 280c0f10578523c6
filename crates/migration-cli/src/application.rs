//! What the commands are for: what one application has otherwise than another.

use std::sync::OnceLock;

/// An application with a database, and its names.
#[derive(Debug, Clone)]
pub struct Application {
    /// The database, where no setting names one; `dev` makes it.
    pub database: &'static str,
    /// The role that owns it, where no setting names one; `dev` makes it.
    pub user: &'static str,
    /// A role of the phases that only reads, and gets its password from `POSTGRES_READONLY_PASSWORD`.
    pub readonly: Option<ReadonlyRole>,
    /// The package of the workspace, and the name of its program, that `deploy` and `dev` build and launch.
    pub backend: Option<&'static str>,
}

/// A role that only reads.
#[derive(Debug, Clone)]
pub struct ReadonlyRole {
    /// Its name in the phases.
    pub name: &'static str,
    /// A password that it may still have and that everybody knows: `migrate` warns of it.
    pub well_known_password: Option<&'static str>,
    /// A variable of the backend that makes it read as this role: only where it is set the backend gets the password.
    pub read_as_if_set: Option<&'static str>,
}

/// What every PostgreSQL server has.
impl Default for Application {
    fn default() -> Self {
        Self {
            database: "postgres",
            user: "postgres",
            readonly: None,
            backend: None,
        }
    }
}

/// A process serves one application; the defaults of arguments, which clap makes, are told by nobody else.
static APPLICATION: OnceLock<Application> = OnceLock::new();

/// Names it, once and before anybody asks.
pub(crate) fn set(application: Application) {
    let _ = APPLICATION.set(application);
}

/// The application; the default one, if none was named.
pub(crate) fn get() -> &'static Application {
    APPLICATION.get_or_init(Application::default)
}
