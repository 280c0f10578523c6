//! `init`: what another workspace needs to have these commands.

mod files;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use connection::{Error, Kind};
use scratch::program;
use serde::Serialize;
use xshell::cmd;

use super::new;
use crate::report::Report;
use crate::ui;
use files::Workspace;

/// Give another workspace these commands: a crate xtask, the alias, a first phase file
///
/// Writes only what is not there: xtask/ with a main.rs of a few lines, a line each in Cargo.toml and .cargo/config.toml,
/// sql/01_tables.sql, and in a folder with .github the check for CI. The folder need hold nothing yet.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The workspace's folder.
    #[arg(default_value = ".", hide_default_value = true)]
    folder: PathBuf,
    /// The database, where no setting names one; by default as the folder.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The role that owns it, where no setting names one; by default as the database.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The package of the backend that deploy and dev shall build and launch; without one they do without.
    #[arg(long, value_name = "PACKAGE")]
    backend: Option<String>,
    /// Where the engine comes from: the address of a Git repository. By default it is the folder that this program was
    /// built from.
    #[arg(long, value_name = "URL")]
    git: Option<String>,
    /// The commit there.
    #[arg(long, value_name = "COMMIT", requires = "git")]
    rev: Option<String>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// What was done.
#[derive(Serialize)]
pub struct Made {
    folder: PathBuf,
    /// The files that were written, or written to.
    files: Vec<PathBuf>,
    #[serde(skip)]
    is_local: bool,
}

impl Report for Made {
    fn remark(&self) {
        for file in &self.files {
            ui::say(&format!("wrote {}", file.display()));
        }
        if self.is_local {
            ui::say("the engine is a folder of this machine: --git URL names one that others have as well");
        }
        ui::say(&format!(
            "next, in {}: write sql/01_tables.sql; cargo xtask snapshot; cargo xtask dev, or migrate\n\
             in CI: cargo xtask snapshot --check --deny --cold",
            self.folder.display()
        ));
    }
}

/// The folder that the engine is in, of this crate.
const ENGINE: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Made> {
    std::fs::create_dir_all(&args.folder).map_err(|error| cannot("make", &args.folder, &error))?;
    let folder = args
        .folder
        .canonicalize()
        .map_err(|error| cannot("find", &args.folder, &error))?;
    let mut workspace = Workspace::new(&folder);
    if workspace.has("xtask") {
        let cause = format!("{} is there already", folder.join("xtask").display());
        return Err(Error::new(Kind::Usage, "nothing was done", cause).into());
    }
    let database = args.database.clone().unwrap_or_else(|| named_as(&folder));
    let user = args.user.clone().unwrap_or_else(|| database.clone());

    workspace.make_root()?;
    // Cargo adds the new package to the workspace's members.
    let mut cargo = program::command("cargo", |sh, cargo| {
        cmd!(sh, "{cargo} new --quiet --bin --vcs none --edition 2024 xtask")
    })?;
    crate::backend::without_cargo_variables(&mut cargo);
    let output = cargo
        .current_dir(&folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot("run cargo new in", &folder, &error))?;
    if !output.status.success() {
        let cause = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::new(Kind::Failed, "cargo new xtask has failed", cause).into());
    }
    workspace.write(
        "xtask/Cargo.toml",
        &include_str!("Cargo.toml.txt").replace("{source}", &source(args, &folder)),
    )?;
    workspace.write("xtask/src/main.rs", &main(&database, &user, args.backend.as_deref()))?;
    workspace.add_profiles(include_str!("profile.toml.txt"))?;
    workspace.add_alias(include_str!("config.toml.txt"))?;
    if !workspace.has("sql") {
        workspace.write("sql/01_tables.sql", &new::comment("tables"))?;
    }
    if workspace.has(".github") && !workspace.has(".github/workflows/database.yml") {
        workspace.write(".github/workflows/database.yml", include_str!("workflow.yml"))?;
    }
    Ok(Made {
        files: workspace.written(),
        folder,
        is_local: args.git.is_none(),
    })
}

/// The program, with these names as literals.
fn main(database: &str, user: &str, backend: Option<&str>) -> String {
    let backend = backend.map_or_else(String::new, |package| format!("        backend: Some({package:?}),\n"));
    include_str!("main.rs.txt")
        .replace("\"{database}\"", &format!("{database:?}"))
        .replace("\"{user}\"", &format!("{user:?}"))
        .replace("{backend}", &backend)
}

/// What Cargo.toml says of where the engine is. A path within the workspace is told from xtask/, so that it holds where
/// somebody else has the workspace.
fn source(args: &Args, folder: &Path) -> String {
    let Some(url) = &args.git else {
        let engine = Path::new(ENGINE);
        let path = match engine.strip_prefix(folder) {
            Ok(within) => Path::new("..").join(within),
            Err(_) => engine.to_owned(),
        };
        return format!("{{ path = {:?} }}", path.to_string_lossy());
    };
    match &args.rev {
        Some(rev) => format!("{{ git = {url:?}, rev = {rev:?} }}"),
        None => format!("{{ git = {url:?} }}"),
    }
}

/// `My shop` → `my_shop`.
fn named_as(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let words: Vec<String> = name
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    match words.join("_") {
        none if none.is_empty() => "app".to_owned(),
        name => name,
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Kind::Failed,
        format!("cannot {what} {}", path.display()),
        error.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_literals() {
        let text = main("a\"b", "c", Some("server"));
        for part in ["database: \"a\\\"b\",", "user: \"c\",", "backend: Some(\"server\"),"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!main("a", "c", None).contains("backend"));
    }

    #[test]
    fn a_folder_gives_a_name() {
        assert_eq!(named_as(Path::new("/x/My shop-2")), "my_shop_2");
        assert_eq!(named_as(Path::new("/")), "app");
    }
}
