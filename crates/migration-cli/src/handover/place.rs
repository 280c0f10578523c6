//! Where deploys for one address meet.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use connection::{Error, Kind};

use crate::commands::options::workspace;
use crate::ui;

/// The folder where deploys meet.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Backend")]
pub struct Meeting {
    /// The folder where a deploy finds the one that runs; by default target/deploy of the workspace. To be named where
    /// each release has a workspace of its own.
    #[arg(long, env = "XTASK_MEETING", hide_env_values = true, value_name = "DIR")]
    meeting: Option<PathBuf>,
}

/// A folder that is ours alone, and an address. Secrets pass through it.
pub struct Place {
    folder: PathBuf,
    address: SocketAddr,
}

/// Nobody else deploys for this address as long as this is there.
pub struct Turn(#[allow(dead_code, reason = "it is held")] File);

impl Place {
    /// Makes the folder, if it is not there.
    ///
    /// # Errors
    /// It cannot be made, or belongs to another user.
    pub fn new(meeting: &Meeting, address: SocketAddr) -> Result<Self, Error> {
        let given = meeting.meeting.clone().filter(|folder| !folder.as_os_str().is_empty());
        let folder = given.unwrap_or_else(|| workspace().join("target/deploy"));
        let failed = |cause: String| {
            let what = format!("cannot use the folder {}, where deploys meet", folder.display());
            Error::new(Kind::Failed, what, cause).next("--meeting or XTASK_MEETING names another one")
        };
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        let owner = made
            .and_then(|()| fs::metadata(&folder))
            .map_err(|error| failed(error.to_string()))?
            .uid();
        if owner != rustix::process::geteuid().as_raw() {
            return Err(failed(format!("it belongs to another user, number {owner}")));
        }
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(|error| failed(error.to_string()))?;
        Ok(Self { folder, address })
    }

    /// Waits until no other deploy for this address is under way, and says for whom.
    ///
    /// # Errors
    /// The lock file cannot be used.
    pub fn take_turn(&self) -> Result<Turn, Error> {
        let path = self.path("lock");
        self.lock(&path).map(Turn).map_err(|error| {
            let what = format!("cannot lock {}", path.display());
            Error::new(Kind::Failed, what, error.to_string())
        })
    }

    fn lock(&self, path: &Path) -> io::Result<File> {
        // Not truncated: it names who holds it.
        let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => {
                let holder = fs::read_to_string(path).unwrap_or_default();
                ui::say(&format!(
                    "waiting until another deploy for {} is done (process {})",
                    self.address,
                    holder.trim()
                ));
                file.lock()?;
            }
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(file)
    }

    /// The deploy that runs, if one does.
    pub fn running(&self) -> Option<UnixStream> {
        UnixStream::connect(self.path("socket")).ok()
    }

    /// Listens for later deploys. To be called in [turn](Self::take_turn), and if nobody is running.
    ///
    /// # Errors
    /// The socket cannot be made, mostly because its path is too long.
    pub fn listen(&self) -> io::Result<UnixListener> {
        let path = self.path("socket");
        // Of one that has ended.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    }

    fn path(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("{}.{kind}", self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_ours_alone_and_a_dead_socket_is_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let meeting = Meeting {
            meeting: Some(dir.path().join("a/b")),
        };
        let place = Place::new(&meeting, "127.0.0.1:3001".parse().unwrap()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("a/b")), 0o700);
        let _turn = place.take_turn().unwrap();
        for _ in 0..2 {
            assert!(place.running().is_none());
            let listener = place.listen().unwrap();
            assert_eq!(mode(&place.path("socket")), 0o600);
            assert!(place.running().is_some());
            drop(listener);
        }
    }
}
