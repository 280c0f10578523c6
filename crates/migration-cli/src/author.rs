//! Who runs a migration, for the record: read from files where that is possible, since starting a program takes longer
//! than a migration that has nothing to do.

use std::fs;
use std::path::Path;

use migration::journal::Author;
use scratch::program;
use xshell::cmd;

use crate::commands::options::{variable, workspace};

/// The user, the machine, and the commit of the workspace.
pub fn author() -> Author {
    let first = |names: &[&str]| names.iter().find_map(|name| variable(name).ok().flatten());
    Author {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        git_commit: git_commit(),
        // Containers and cron jobs have no such variable.
        os_user: first(&["USER", "LOGNAME", "USERNAME"])
            .or_else(user)
            .or_else(|| program::read("id", |sh, id| cmd!(sh, "{id} -un")).map(|name| name.trim().to_owned())),
        host: read("/proc/sys/kernel/hostname").or_else(|| first(&["HOSTNAME", "COMPUTERNAME"])),
    }
}

/// The first characters of the commit of the workspace, or what `GIT_COMMIT` says.
pub fn git_commit() -> Option<String> {
    variable("GIT_COMMIT").ok().flatten().or_else(|| {
        let root = workspace();
        let commit = commit(&root).or_else(|| git(&root, &["rev-parse", "HEAD"]));
        commit.and_then(|commit| commit.get(..12).map(str::to_owned))
    })
}

/// The commit that is checked out, as Git's own documentation (gitrepository-layout) has it; none where the folder is
/// no checkout, or one of another layout.
fn commit(root: &Path) -> Option<String> {
    let is_hash = |text: &String| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut dir = root.join(".git");
    if dir.is_file() {
        dir = root.join(read(&dir)?.strip_prefix("gitdir:")?.trim());
    }
    let head = read(dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref: ") else {
        return Some(head).filter(is_hash);
    };
    // What a worktree shares with its repository.
    let common = read(dir.join("commondir")).map_or_else(|| dir.clone(), |common| dir.join(common));
    read(common.join(name))
        .or_else(|| {
            let packed = read(common.join("packed-refs"))?;
            let line = packed
                .lines()
                .find_map(|line| line.strip_suffix(name)?.strip_suffix(' '));
            line.map(str::to_owned)
        })
        .filter(is_hash)
}

/// The user's name from the file of users.
fn user() -> Option<String> {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = read("/etc/passwd")?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

/// What Git says of a folder, if it is there and ends well.
fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let said = program::read("git", |sh, git| cmd!(sh, "{git} -C {dir} {arguments...}"))?;
    Some(said.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(dir: &Path, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"];
        super::git(dir, &[&identity, arguments].concat()).unwrap()
    }

    #[test]
    fn finds_the_commit_that_git_finds() {
        let dir = tempfile::tempdir().unwrap();
        let (root, tree) = (dir.path().join("root"), dir.path().join("tree"));
        fs::create_dir(&root).unwrap();
        git(&root, &["init", "--quiet", "--initial-branch=main"]);
        assert_eq!(commit(&root), None);
        git(&root, &["commit", "--quiet", "--allow-empty", "--message=one"]);
        let head = |dir: &Path| Some(git(dir, &["rev-parse", "HEAD"]));
        assert_eq!(commit(&root), head(&root));
        git(
            &root,
            &[
                "worktree",
                "add",
                "--quiet",
                "-b",
                "side/branch",
                &tree.to_string_lossy(),
            ],
        );
        git(&tree, &["commit", "--quiet", "--allow-empty", "--message=two"]);
        assert_eq!(commit(&tree), head(&tree));
        assert_ne!(commit(&tree), commit(&root));
        git(&root, &["pack-refs", "--all"]);
        assert_eq!(commit(&root), head(&root));
        assert_eq!(commit(&tree), head(&tree));
        git(&root, &["checkout", "--quiet", "--detach"]);
        assert_eq!(commit(&root), head(&root));
    }

    #[test]
    fn knows_the_user() {
        let id = program::read("id", |sh, id| cmd!(sh, "{id} -un"));
        assert_eq!(user().as_deref(), id.as_deref().map(str::trim));
    }
}
