//! The words of this program for what the library leaves open: the only place that names flags in its texts.

use connection::Hint;
use migration::plan::Reason;

/// Commands and flags for what an error advises.
pub fn words(hint: Hint) -> &'static str {
    match hint {
        Hint::Observe => "run cargo xtask snapshot",
        Hint::MakeExpected => "make it with: cargo xtask snapshot (with the same --sql)",
        Hint::Folder => "--sql or XTASK_SQL names the folder",
        Hint::WaitLonger => " a longer wait: --wait 2min",
        Hint::LockDeadline => "more time: --lock-deadline 30min",
        Hint::StallBudget => "more of it: --stall-budget 10s",
        Hint::TakeOver => "cargo xtask baseline (--through FILE for those up to a file)",
        Hint::Through => ": --through FILE",
        Hint::RunOnce => "migrate --run-once",
        Hint::Again => "cargo xtask migrate --again",
        Hint::RollBackTo => "cargo xtask rollback --to",
        Hint::Partly => "--partly",
        Hint::ListRuns => "cargo xtask history lists the runs",
        Hint::Repair => "cargo xtask migrate --repair",
        Hint::AllowDataLoss => "--allow-data-loss",
        Hint::AllowRewrite => "--allow-rewrite",
    }
}

/// What commands say that read without having the right to read everything.
pub const UNREADABLE_JOURNAL: &str =
    "this role may not read the journal (schema migration): statements that run once are taken for done";

/// Why a statement runs, or does not.
pub fn reason(reason: &Reason) -> String {
    match reason {
        Reason::Forced => "--force".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use clap::CommandFactory;

    fn rust_files(path: &Path, found: &mut Vec<PathBuf>) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path.to_owned());
        }
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            rust_files(&entry.path(), found);
        }
    }

    /// The library has other callers too: a flag in its texts would be wrong there.
    #[test]
    fn the_library_names_no_flag() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        rust_files(&own.join(".."), &mut files);
        assert!(files.len() > 50, "{files:?}");
        // Docker and initdb have flags of the same names.
        files.retain(|file| {
            !file.iter().any(|part| part == "scratch") && !file.starts_with(own.join("../migration-cli"))
        });
        let flags: Vec<String> = crate::Cli::<crate::Nothing>::command()
            .get_subcommands()
            .flat_map(|command| command.get_arguments().filter_map(clap::Arg::get_long))
            .map(|flag| format!("--{flag}"))
            .chain(["cargo xtask".to_owned()])
            .collect();
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
                let named = flags.iter().find(|flag| line.contains(flag.as_str()));
                assert_eq!(named, None, "{}: {line}", file.display());
            }
        }
    }
}
