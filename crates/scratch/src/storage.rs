//! Folders, locks and passwords of servers.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use sha2::{Digest, Sha256};

use connection::{Error, Interrupted, Kind};

/// The right to run a server on a data folder; the system takes it back when the process ends,
/// whatever ended it.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a data folder, which is made if it is not there.
    pub(super) fn take(data: &Path) -> Result<Self, Error> {
        let what = || format!("cannot use the data folder {}", data.display());
        let failed = |error: io::Error| Error::new(Kind::Failed, what(), error.to_string());
        fs::create_dir_all(data).map_err(failed)?;
        let path = data.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // The number is a help for people; without it the message is still true.
                let _ = file.read_to_string(&mut owner);
                let cause = format!("process {} runs a server on it", owner.trim());
                return Err(Error::new(Kind::Busy, what(), cause));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// An error if the process was told to end.
pub(super) fn check(interrupted: Interrupted<'_>) -> Result<(), Error> {
    match interrupted() {
        None => Ok(()),
        Some(signal) => Err(Error::new(
            Kind::Interrupted(signal),
            "interrupted while starting a server",
            "",
        )),
    }
}

/// Whether the data folder has data of local servers and none of containers.
pub(super) fn only_local(data: Option<&Path>) -> bool {
    let Some(Ok(entries)) = data.map(fs::read_dir) else {
        return false;
    };
    let names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.iter().any(|name| name.starts_with("local-")) && !names.iter().any(|name| name.starts_with("docker-"))
}

/// Sixteen hexadecimal digits that stand for a folder, wherever its name is too long or not allowed.
pub(super) fn hash(folder: &Path) -> String {
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    hash_of(folder.as_os_str().as_encoded_bytes())
}

/// Sixteen hexadecimal digits that stand for some bytes.
pub(super) fn hash_of(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).get(..8).unwrap_or_default())
}

/// A name that no other process has, for containers and folders.
pub(super) fn unique_name() -> String {
    format!("xtask-postgres-{}-{:08x}", std::process::id(), fastrand::u32(..))
}

/// Where Linux has a file system in memory.
const MEMORY: &str = "/dev/shm";
/// How much room there must be for a scratch server in memory, in bytes.
const ROOM: u64 = 4 << 30;

/// The folder for what a scratch server needs: in memory if there is room, because of a database's many small files;
/// `TMPDIR` if it is set.
pub(super) fn scratch_folder() -> PathBuf {
    let room = || statvfs(MEMORY).map_or(0, |found| found.f_bavail * found.f_frsize);
    match std::env::var_os("TMPDIR") {
        None if room() >= ROOM => MEMORY.into(),
        _ => std::env::temp_dir(),
    }
}

/// A new folder that only its owner may look into. Fails if there is something under that name.
pub(super) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// A new password from the system's randomness.
pub(super) fn new_password() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(|error| Error::new(Kind::Failed, "cannot make a password", format!("/dev/urandom: {error}")))?;
    Ok(hex(&bytes))
}

/// The password of the data in `data/name`: the one in the file beside it, or a new one, which is
/// written there. `None` for `data` is a scratch server, whose password is nowhere written.
pub(super) fn password(data: Option<&Path>, name: &str) -> Result<String, Error> {
    let Some(data) = data else { return new_password() };
    let path = password_file(data, name);
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(Error::new(
                Kind::Failed,
                "cannot read the server's password",
                format!("{}: {error}", path.display()),
            ));
        }
    }
    let password = new_password()?;
    write_private(&path, &password).map_err(|error| {
        Error::new(
            Kind::Failed,
            "cannot keep the server's password",
            format!("{}: {error}", path.display()),
        )
    })?;
    Ok(password)
}

fn password_file(data: &Path, name: &str) -> PathBuf {
    data.join(format!("{name}.password"))
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_kept_password_is_kept_and_private() {
        let data = std::env::temp_dir().join(unique_name());
        private_folder(&data).unwrap();
        let first = password(Some(&data), "local-15").unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(password(Some(&data), "local-15").unwrap(), first);
        assert_ne!(password(Some(&data), "local-18").unwrap(), first);
        let mode = fs::metadata(data.join("local-15.password"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(data).unwrap();
    }

    #[test]
    fn a_data_folder_has_one_owner() {
        let data = std::env::temp_dir().join(unique_name());
        let lock = Lock::take(&data).unwrap();
        let error = Lock::take(&data).err().unwrap();
        assert_eq!(error.kind, Kind::Busy);
        assert!(error.cause.contains(&std::process::id().to_string()));
        drop(lock);
        // A program that another test starts holds each open file until it has begun to run.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Err(error) = Lock::take(&data) {
            assert!(Instant::now() < deadline, "{}", error.cause);
            std::thread::yield_now();
        }
        fs::remove_dir_all(data).unwrap();
    }
}
