//! The backend follows its sources.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use connection::{Error, Kind, Settings};
use scratch::program;
use serde_json::Value;
use xshell::cmd;

use super::shown;
use super::watch::Watch;
use crate::backend::build::{Profile, build};
use crate::backend::front::{Alone, Front};
use crate::backend::launch::Launch;
use crate::backend::{self, Launching, port, without_cargo_variables};
use crate::child::Event;
use crate::commands::options::workspace;
use crate::{report, signals, ui};

/// A backend that was built and launched.
pub struct Backend {
    launching: Launching,
    settings: Settings,
    watch: Watch,
    address: std::net::SocketAddr,
    /// None if it has ended by itself.
    front: Option<Front>,
    /// The program that runs, as it was when it was launched: cargo leaves it as it is if nothing of it has changed.
    launched: Built,
}

#[derive(PartialEq, Eq)]
struct Built {
    program: PathBuf,
    modified: Option<std::time::SystemTime>,
}

impl Built {
    fn build() -> anyhow::Result<Self> {
        let program = build(Profile::Development)?;
        let modified = program.metadata().and_then(|metadata| metadata.modified()).ok();
        Ok(Self { program, modified })
    }
}

impl Backend {
    /// Builds it, and launches it on this database. What is in the folder `sql` is none of it, wherever that is.
    ///
    /// # Errors
    /// Its address is taken, it does not compile, or is not ready in time.
    pub fn start(launching: &Launching, settings: Settings, sql: PathBuf) -> anyhow::Result<Self> {
        let address = port::address(&launching.bind)?;
        port::free(address)?;
        // What changes while it is built was not built.
        let watch = Watch::new(sources()?, is_source).without(sql);
        let built = Built::build()?;
        let launch = Launch::new(&built.program, &settings, launching)?;
        let front = Front::start(&launch, port::listen(address)?)?;
        Ok(Self {
            launching: launching.clone(),
            settings,
            watch,
            address: front.address(),
            front: Some(front),
            launched: built,
        })
    }

    /// Where it can be reached.
    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    /// Builds it again and hands over whenever its sources change, in a thread, until we are told to end.
    pub fn follow(mut self) -> JoinHandle<()> {
        thread::spawn(move || {
            while signals::received().is_none() {
                self.wait(self.watch.pause());
                let changed = self.watch.changed();
                if !changed.is_empty() && signals::received().is_none() {
                    ui::say(&format!("\n{} changed", shown(&changed)));
                    if let Err(error) = self.renew() {
                        self.show(&error);
                    }
                }
            }
            self.end();
        })
    }

    /// For this time, or until it has ended by itself.
    fn wait(&mut self, time: Duration) {
        let Some(front) = &mut self.front else {
            return thread::sleep(time);
        };
        if front.event_within(time) == Some(Event::Ended) {
            let ended = self.front.take().map(|front| front.end(Event::Ended));
            if let Some(Err(error)) = ended {
                report::show_error(&error);
            }
            ui::warn("the backend has ended by itself; it is launched again when its sources change");
        }
    }

    fn renew(&mut self) -> anyhow::Result<()> {
        let built = Built::build()?;
        if built == self.launched && self.front.is_some() {
            ui::say("the backend is as it was, and goes on serving");
            return Ok(());
        }
        let launch = Launch::new(&built.program, &self.settings, &self.launching)?;
        self.hand_over(&launch)?;
        self.launched = built;
        Ok(())
    }

    /// To a new one, from the one that serves, if there is one.
    fn hand_over(&mut self, launch: &Launch) -> anyhow::Result<()> {
        match &mut self.front {
            Some(front) => {
                front.hand_over(launch, &mut Alone)?;
            }
            None => {
                let address = port::address(&self.launching.bind)?;
                self.front = Some(Front::start(launch, port::listen(address)?)?);
            }
        }
        Ok(())
    }

    fn show(&self, error: &anyhow::Error) {
        // Who ends it knows.
        if signals::received().is_some() {
            return;
        }
        report::show_error(error);
        if self.front.is_some() {
            ui::say("the backend before it goes on serving; waiting for the next change");
        }
    }

    fn end(self) {
        let signal = signals::received().unwrap_or(signal_hook::consts::SIGTERM);
        let ended = self.front.map(|front| front.end(Event::Signal(signal)));
        if let Some(Err(error)) = ended {
            report::show_error(&error);
        }
    }
}

/// What an editor leaves beside a file is none.
fn is_source(path: &Path) -> bool {
    !path.to_string_lossy().ends_with('~')
}

/// The folders of the backend's package and of the packages of this workspace that it depends on, and what cargo reads
/// besides.
fn sources() -> anyhow::Result<Vec<PathBuf>> {
    let package = backend::package()?;
    let failed = |cause: String| Error::new(Kind::Failed, format!("cannot tell the sources of {package}"), cause);
    let mut cargo = program::command("cargo", |sh, cargo| {
        cmd!(sh, "{cargo} metadata --format-version 1 --no-deps --offline")
    })?;
    without_cargo_variables(&mut cargo);
    let root = workspace();
    let output = cargo.current_dir(&root).stdin(Stdio::null()).output();
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()).into());
    }
    let metadata = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    let mut sources = folders(&metadata, package);
    sources.extend(["Cargo.toml", "Cargo.lock"].map(|name| root.join(name)));
    Ok(sources)
}

/// The folders of a package and of those that it depends on by a path.
fn folders(metadata: &Value, package: &str) -> Vec<PathBuf> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let folder_of = |package: &Value| Some(Path::new(package["manifest_path"].as_str()?).parent()?.to_owned());
    let mut folders: Vec<PathBuf> = Vec::new();
    let first = packages.iter().filter(|found| found["name"] == package);
    let mut next: Vec<PathBuf> = first.filter_map(folder_of).collect();
    while let Some(folder) = next.pop() {
        if folders.contains(&folder) {
            continue;
        }
        let found = packages
            .iter()
            .find(|package| folder_of(package).as_ref() == Some(&folder));
        let dependencies = found.and_then(|package| package["dependencies"].as_array());
        let paths = dependencies
            .into_iter()
            .flatten()
            .filter_map(|dependency| dependency["path"].as_str());
        next.extend(paths.map(PathBuf::from));
        folders.push(folder);
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_those_of_the_package_and_its_neighbours() {
        let package = |name: &str, dependencies: &[&str]| {
            let dependencies: Vec<Value> = dependencies
                .iter()
                .map(|name| serde_json::json!({ "name": name, "path": format!("/w/{name}") }))
                .chain([serde_json::json!({ "name": "serde" })])
                .collect();
            serde_json::json!({
                "name": name,
                "manifest_path": format!("/w/{name}/Cargo.toml"),
                "dependencies": dependencies,
            })
        };
        let metadata = serde_json::json!({ "packages": [
            package("server", &["model", "wire"]),
            package("model", &["wire"]),
            package("wire", &["model"]),
            package("other", &["server"]),
        ] });
        let mut found = folders(&metadata, "server");
        found.sort();
        assert_eq!(found, ["/w/model", "/w/server", "/w/wire"].map(PathBuf::from));
        assert!(folders(&Value::Null, "server").is_empty());
    }
}
