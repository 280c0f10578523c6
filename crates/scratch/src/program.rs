//! Programs that we call: `which` finds each, or says what to install; with xshell the calls are written.
//!
//! What must be watched, signalled or read while it runs is a [`Command`], made from the same words.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use connection::{Error, Kind};
use xshell::{Cmd, Shell};

/// Finds a program on PATH, or at a path.
///
/// # Errors
/// It is not there; what to install is said.
pub fn find(program: impl AsRef<OsStr>) -> Result<PathBuf, Error> {
    let program = program.as_ref();
    // The cargo that runs us, of the same toolchain.
    if program == "cargo"
        && let Some(cargo) = std::env::var_os("CARGO")
    {
        return Ok(cargo.into());
    }
    which::which(program).map_err(|error| {
        let name = program.to_string_lossy();
        let next = match name.as_ref() {
            "cargo" => "install Rust (https://rustup.rs), or add its folder to PATH".to_owned(),
            "docker" => "install Docker, or add its folder to PATH".to_owned(),
            "ps" => "install the package procps".to_owned(),
            _ if name.contains('/') => "is it there, and executable?".to_owned(),
            _ => format!("install {name}, or add its folder to PATH"),
        };
        Error::new(
            Kind::Failed,
            format!("cannot find the program {name}"),
            error.to_string(),
        )
        .next(next)
    })
}

/// A call of a program, to be started.
///
/// # Errors
/// It is not there, or the current folder is gone.
pub fn command(
    program: impl AsRef<OsStr>,
    call: impl for<'s> FnOnce(&'s Shell, &Path) -> Cmd<'s>,
) -> Result<Command, Error> {
    let program = find(program)?;
    Ok(call(&shell()?, &program).into())
}

/// What a program prints, if it is there and ends well; nothing of it is shown.
pub fn read(program: impl AsRef<OsStr>, call: impl for<'s> FnOnce(&'s Shell, &Path) -> Cmd<'s>) -> Option<String> {
    let program = find(program).ok()?;
    let output = call(&shell().ok()?, &program).quiet().output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shell() -> Result<Shell, Error> {
    Shell::new().map_err(|error| {
        Error::new(
            Kind::Failed,
            "cannot run programs: where is the current folder?",
            error.to_string(),
        )
    })
}

#[cfg(test)]
mod tests {
    use xshell::cmd;

    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_install() {
        let error = find("no-such-program").unwrap_err();
        assert!(error.what.contains("no-such-program"), "{error}");
        assert!(error.to_string().contains("→ install no-such-program"), "{error}");
        assert_eq!(read("no-such-program", |sh, program| cmd!(sh, "{program}")), None);
    }

    #[test]
    fn words_arrive_as_they_are() {
        let text = "two words; $HOME";
        let said = read("sh", |sh, program| {
            cmd!(sh, "{program} -c 'printf %s \"$1\"' sh {text}")
        });
        assert_eq!(said.as_deref(), Some(text));
        assert_eq!(read("sh", |sh, program| cmd!(sh, "{program} -c 'exit 1'")), None);
    }
}
