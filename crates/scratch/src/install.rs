//! Which command installs PostgreSQL on this machine.

use std::fmt;

use connection::{Error, Kind};
use xshell::cmd;

use crate::program;

/// Commands to run one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallCommand {
    commands: Vec<Vec<String>>,
}

impl fmt::Display for InstallCommand {
    /// As a person would type it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commands: Vec<String> = self.commands.iter().map(|words| words.join(" ")).collect();
        f.write_str(&commands.join(" && "))
    }
}

impl InstallCommand {
    /// Runs it; what it prints and asks goes to the terminal.
    ///
    /// # Errors
    /// One of the commands failed or could not be run.
    pub fn run(&self) -> Result<(), Error> {
        for words in &self.commands {
            let Some((program, arguments)) = words.split_first() else {
                continue;
            };
            let failed = |cause: String| {
                Error::new(
                    Kind::Failed,
                    format!("cannot install PostgreSQL: `{}` failed", words.join(" ")),
                    cause,
                )
            };
            let status = program::command(program, |sh, program| cmd!(sh, "{program} {arguments...}"))?
                // A package may otherwise stop to ask a question that nobody is there to answer.
                .env("DEBIAN_FRONTEND", "noninteractive")
                .status()
                .map_err(|error| failed(error.to_string()))?;
            if !status.success() {
                return Err(failed(status.to_string()));
            }
        }
        Ok(())
    }
}

/// The command that installs PostgreSQL here, through `sudo` where this user is not root; `None` on
/// a system whose package manager is not one of apt, dnf and Homebrew.
pub fn install_command() -> Option<InstallCommand> {
    let there = |program: &str| program::find(program).is_ok();
    for_system(there, crate::account::is_root())
}

fn for_system(there: impl Fn(&str) -> bool, root: bool) -> Option<InstallCommand> {
    let (commands, by_root): (&[&str], bool) = if there("apt-get") {
        (&["apt-get update", "apt-get install -y postgresql"], true)
    } else if there("dnf") {
        // The package of extensions is a separate one; uuid-ossp and pg_stat_statements are in it.
        (&["dnf install -y postgresql-server postgresql-contrib"], true)
    } else if there("brew") {
        (&["brew install postgresql@18"], false)
    } else {
        return None;
    };
    let sudo = by_root && !root;
    let words = |command: &&str| {
        sudo.then_some("sudo")
            .into_iter()
            .chain(command.split(' '))
            .map(str::to_owned)
            .collect()
    };
    Some(InstallCommand {
        commands: commands.iter().map(words).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(manager: &str, root: bool) -> Option<String> {
        for_system(|program| program == manager, root).map(|command| command.to_string())
    }

    #[test]
    fn each_system_has_its_command() {
        assert_eq!(
            text("apt-get", true).unwrap(),
            "apt-get update && apt-get install -y postgresql"
        );
        assert_eq!(
            text("apt-get", false).unwrap(),
            "sudo apt-get update && sudo apt-get install -y postgresql"
        );
        assert_eq!(
            text("dnf", false).unwrap(),
            "sudo dnf install -y postgresql-server postgresql-contrib"
        );
        assert_eq!(text("brew", false).unwrap(), "brew install postgresql@18");
        assert_eq!(text("", false), None);
    }

    #[test]
    fn a_failing_command_is_named() {
        let command = InstallCommand {
            commands: vec![vec!["false".into(), "x".into()], vec!["true".into()]],
        };
        assert!(command.run().unwrap_err().what.contains("`false x`"));
    }
}
