//! The user that a local server runs as.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use connection::{Error, Kind};
use xshell::cmd;

use crate::{program, storage};

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    id("-u", None) == Some(0)
}

fn id(option: &str, user: Option<&str>) -> Option<u32> {
    let said = program::read("id", |sh, id| cmd!(sh, "{id} {option}").args(user))?;
    said.trim().parse().ok()
}

/// Which user a server runs as: PostgreSQL refuses root.
#[derive(Debug, Clone)]
pub(super) enum Account {
    /// Whoever runs this process.
    Own,
    /// Another one, because this process is root's.
    Other { name: &'static str, uid: u32, gid: u32 },
}

impl Account {
    pub(super) fn choose() -> Result<Self, Error> {
        if !is_root() {
            return Ok(Self::Own);
        }
        let found = ["postgres", "nobody"].into_iter().find_map(|name| {
            Some(Self::Other {
                name,
                uid: id("-u", Some(name))?,
                gid: id("-g", Some(name))?,
            })
        });
        found.ok_or_else(|| {
            Error::new(
                Kind::Failed,
                "cannot start a PostgreSQL server as root",
                "there is no user postgres to run it as",
            )
            .next("run this as another user than root, or: useradd --system postgres")
        })
    }

    pub(super) fn command(&self, program: &Path, folder: &Path) -> Result<Command, Error> {
        let mut command = program::command(program, |sh, program| cmd!(sh, "{program}"))?;
        if let Self::Other { uid, gid, .. } = self {
            command.uid(*uid).gid(*gid);
        }
        // Settings of the person's own clients are none of this server's.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").current_dir(folder);
        Ok(command)
    }

    pub(super) fn own(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Whether it can get into a folder, through all that are above it.
    fn reaches(&self, folder: &Path) -> bool {
        match self {
            Self::Own => true,
            Self::Other { .. } => {
                let Ok(mut command) = self.command(Path::new("sh"), Path::new("/")) else {
                    return false;
                };
                command
                    .args(["-c", "cd -- \"$1\" 2>/dev/null", "sh"])
                    .arg(folder)
                    .status()
                    .is_ok_and(|status| status.success())
            }
        }
    }

    /// The folder of a server, made if it is not there: `name` in the kept data, or one of a
    /// scratch server.
    pub(super) fn folder(&self, data: Option<&Path>, name: &str, progress: &dyn Fn(&str)) -> Result<PathBuf, Error> {
        let failed = |path: &Path, error: io::Error| {
            Error::new(
                Kind::Failed,
                format!("cannot use the data folder {}", path.display()),
                error.to_string(),
            )
        };
        let Some(data) = data else {
            let path = storage::scratch_folder().join(storage::unique_name());
            storage::private_folder(&path)
                .and_then(|()| self.own(&path))
                .map_err(|error| failed(&path, error))?;
            return Ok(path);
        };
        let data = fs::canonicalize(data).map_err(|error| failed(data, error))?;
        let path = if self.reaches(&data) {
            data.join(name)
        } else {
            // The workspace of root, for instance, where nobody else may look.
            let base = Some(PathBuf::from("/var/tmp"))
                .filter(|path| path.is_dir())
                .unwrap_or_else(std::env::temp_dir);
            let path = base.join(format!("xtask-dev-{}-{name}", storage::hash(&data)));
            progress(&format!(
                "PostgreSQL refuses to run as root, and other users cannot get into {}:",
                data.display()
            ));
            progress(&format!("the data is in {}", path.display()));
            path
        };
        match storage::private_folder(&path) {
            Ok(()) => self.own(&path).map_err(|error| failed(&path, error))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.check_owner(&path).map_err(|error| failed(&path, error))?
            }
            Err(error) => return Err(failed(&path, error)),
        }
        Ok(path)
    }

    /// In a folder where everybody may write, somebody else could have been there first.
    fn check_owner(&self, path: &Path) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        match self {
            Self::Other { uid, name, .. } if !metadata.is_dir() || metadata.uid() != *uid => Err(io::Error::other(
                format!("it is there and does not belong to the user {name}"),
            )),
            _ => Ok(()),
        }
    }
}
