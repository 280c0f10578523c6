//! Which PostgreSQL the tests run on: images where Docker answers, local binaries elsewhere.

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::xtask::workspace;

/// The images for people: official, and pinned, so that a run of today can be repeated.
const DEFAULT: &str = "postgres:15.14,postgres:18.1";
/// Other images, separated by commas.
const IMAGES: &str = "XTASK_TEST_IMAGES";
/// `local`: do not use Docker even if it answers. `dev` knows the same variable.
const SERVER: &str = "XTASK_POSTGRES";

/// Where servers of one version come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An image of Docker, as `name:tag`.
    Image(String),
    /// PostgreSQL's own binaries on this machine.
    Local,
}

/// One version to test on; known without starting anything.
#[derive(Clone, Debug)]
pub struct Version {
    /// What the names of its tests begin with.
    pub label: String,
    wanted: Option<String>,
}

/// The versions that the environment asks for.
pub fn versions() -> Vec<Version> {
    let local = std::env::var(SERVER).is_ok_and(|value| value == "local");
    if local || !docker_answers() {
        return vec![Version {
            label: "local".to_owned(),
            wanted: None,
        }];
    }
    let images = std::env::var(IMAGES).unwrap_or_else(|_| DEFAULT.to_owned());
    images
        .split(',')
        .map(str::trim)
        .filter(|image| !image.is_empty())
        .map(|image| Version {
            label: label(image),
            wanted: Some(image.to_owned()),
        })
        .collect()
}

/// `postgres:18.1` → `pg18`.
fn label(image: &str) -> String {
    match major(image) {
        "" => image.replace([':', '/'], "-"),
        digits => format!("pg{digits}"),
    }
}

/// The digits that the tag begins with.
fn major(image: &str) -> &str {
    let tag = image.rsplit_once(':').map_or("", |(_, tag)| tag);
    &tag[..tag.find(|c: char| !c.is_ascii_digit()).unwrap_or(tag.len())]
}

impl Version {
    /// Gets the image, unless this machine has it, and says on stderr what is used.
    pub fn source(&self) -> Source {
        let Some(wanted) = &self.wanted else {
            eprintln!("servers: no Docker answers, so PostgreSQL's binaries on this machine");
            return Source::Local;
        };
        let found = if is_present(wanted) || pull(wanted) {
            wanted.clone()
        } else {
            make(wanted)
        };
        eprintln!("{}: image {found}", self.label);
        Source::Image(found)
    }
}

/// A registry is out of reach behind many companies' walls: the project can make an image itself.
fn make(wanted: &str) -> String {
    /// Two at a time would both install the tools for it.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let major = major(wanted);
    let image = format!("local/postgres:{major}");
    if is_present(&image) {
        return image;
    }
    eprintln!("{wanted} cannot be pulled: making {image} from Debian packages …");
    let status = Command::new(workspace().join("scripts/make-postgres-image.sh"))
        .arg(major)
        .stdin(Stdio::null())
        .status();
    assert!(
        status.as_ref().is_ok_and(std::process::ExitStatus::success) && is_present(&image),
        "there is no image {wanted}, and scripts/make-postgres-image.sh {major} could not make one \
         ({status:?}); set {IMAGES} to images that this machine has, or {SERVER}=local"
    );
    image
}

fn docker_answers() -> bool {
    quiet(&["version", "--format", "{{.Server.Version}}"])
}

/// Whether Docker has an image.
pub fn is_present(image: &str) -> bool {
    quiet(&["image", "inspect", image])
}

/// Whether Docker could get an image.
pub fn pull(image: &str) -> bool {
    quiet(&["pull", "--quiet", image])
}

fn quiet(arguments: &[&str]) -> bool {
    Command::new("docker")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
