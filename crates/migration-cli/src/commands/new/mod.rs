//! `new`: where the next change is written.

mod name;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use connection::{Error, Kind};
use migration::Phases;
use serde::Serialize;

use super::options::Sql;
use crate::report::Report;
use crate::ui;

/// Make the next phase file, or a place in one, with a comment that says what to write
///
/// It is named as those before it are: NN_name.sql, or in the way of another tool, with the next number or the time.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// What it is for, such as "add venues".
    title: String,
    /// A place at the end of this phase instead of a file of its own: the phase's name or a part of it, or its number.
    #[arg(long = "in", value_name = "PHASE")]
    phase: Option<String>,
    #[command(flatten)]
    sql: Sql,
    /// Print one JSON document on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Where to write.
#[derive(Serialize)]
pub struct Place {
    file: PathBuf,
    /// The line at which the comment begins, from 1.
    line: usize,
}

impl Report for Place {
    fn remark(&self) {
        ui::say(&format!(
            "write it here: {}:{}\nthen: cargo xtask snapshot",
            self.file.display(),
            self.line
        ));
    }
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<Place> {
    let title = title(&args.title)?;
    let phases = args.sql.phases()?;
    let comment = comment(&title);
    let place = match &args.phase {
        None => add_file(&phases.dir.join(name::next(&phases, &title)?), &comment),
        Some(phase) => add_to(&find(&phases, phase)?, &title, &comment),
    };
    Ok(place?)
}

/// What a new file begins with.
pub fn comment(title: &str) -> String {
    let mut letters = title.chars();
    let capital = letters.next().map(|letter| letter.to_uppercase().to_string());
    let title = format!("{}{}", capital.unwrap_or_default(), letters.as_str());
    include_str!("template.sql").replace("{title}", &title)
}

/// The words in one line: a line break would end the comment.
fn title(given: &str) -> Result<String, Error> {
    let words: Vec<String> = given
        .split_whitespace()
        .map(|word| word.chars().filter(|letter| !letter.is_control()).collect())
        .collect();
    let title = words.join(" ");
    if title.chars().any(char::is_alphanumeric) {
        return Ok(title);
    }
    let cause = format!("“{title}” has no word in it");
    Err(Error::new(Kind::Usage, "a change needs a name", cause).next("for instance: cargo xtask new \"add venues\""))
}

/// A file of its own, and the folder that its tool wants.
fn add_file(path: &Path, comment: &str) -> Result<Place, Error> {
    let failed = |error: std::io::Error| cannot_write(path, &error);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(failed)?;
    file.write_all(comment.as_bytes()).map_err(failed)?;
    Ok(Place {
        file: path.to_owned(),
        line: 1,
    })
}

/// The end of a phase's file; in a phase's folder a file of its own.
fn add_to(phase: &Path, title: &str, comment: &str) -> Result<Place, Error> {
    if phase.is_dir() {
        return add_file(&phase.join(format!("{}.sql", name::of_words(title))), comment);
    }
    let failed = |error: std::io::Error| cannot_write(phase, &error);
    let before = fs::read_to_string(phase).map_err(failed)?;
    let gap = match before.as_str() {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    let mut file = OpenOptions::new().append(true).open(phase).map_err(failed)?;
    file.write_all(format!("{gap}{comment}").as_bytes()).map_err(failed)?;
    Ok(Place {
        file: phase.to_owned(),
        line: before.matches('\n').count() + gap.len() + 1,
    })
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Kind::Failed,
        format!("cannot write {}", path.display()),
        error.to_string(),
    )
}

/// The file or folder of the phase that is meant.
fn find(phases: &Phases, wanted: &str) -> Result<PathBuf, Error> {
    let names = || phases.phases.iter().map(|phase| phase.name.as_str());
    let exact = |name: &&str| {
        let number = name.split_once('_').map_or(*name, |(number, _)| number);
        *name == wanted || number.trim_start_matches('0') == wanted.trim_start_matches('0')
    };
    let mut found: Vec<&str> = names().filter(exact).collect();
    if found.is_empty() {
        found = names().filter(|name| name.contains(wanted)).collect();
    }
    let [name] = found.as_slice() else {
        let (what, list) = match found.as_slice() {
            [] => ("no phase is called so", names().collect::<Vec<_>>()),
            _ => ("several phases are called so", found),
        };
        return Err(Error::new(
            Kind::Usage,
            format!("{what}: {wanted}"),
            format!("there are {}", list.join(", ")),
        ));
    };
    let folder = phases.dir.join(name);
    let is_folder = folder.is_dir();
    Ok(if is_folder {
        folder
    } else {
        phases.dir.join(format!("{name}.sql"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phases(dir: &Path) -> Phases {
        Phases::read(dir).unwrap()
    }

    /// What is written can be read: no word in it is taken for a statement or a directive.
    #[test]
    fn a_new_file_is_a_phase_without_statements() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("01_a.sql"), "SELECT 1;").unwrap();
        let title = title("add\nvenues; DROP TABLE x \u{1b}[1m").unwrap();
        let path = dir.path().join(name::next(&phases(dir.path()), &title).unwrap());
        add_file(&path, &comment(&title)).unwrap();
        let read = phases(dir.path());
        assert_eq!(read.phases[1].name, "02_add_venues_drop_table_x_1m");
        assert!(read.phases[1].statements.is_empty());
        assert!(add_file(&path, "").is_err(), "it is written over");
    }

    #[test]
    fn a_place_is_the_end_of_the_phase_that_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("01_tables.sql", "SELECT 1;"),
            ("02_indexes.sql", "SELECT 2;\n"),
            ("11_index_more.sql", ""),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        for (wanted, name, line) in [
            ("tables", "01_tables", 3),
            ("1", "01_tables", 13),
            ("02", "02_indexes", 3),
        ] {
            let path = find(&phases(dir.path()), wanted).unwrap();
            assert_eq!(path, dir.path().join(format!("{name}.sql")));
            let place = add_to(&path, "more", &comment("more")).unwrap();
            assert_eq!(place.line, line, "{wanted}");
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(text.lines().nth(line - 1), Some("-- More"));
        }
        for wanted in ["index", "views"] {
            assert_eq!(
                find(&phases(dir.path()), wanted).unwrap_err().kind,
                Kind::Usage,
                "{wanted}"
            );
        }
    }

    #[test]
    fn no_word_is_no_name() {
        for nothing in ["", "  ", "--", "\n"] {
            assert_eq!(title(nothing).unwrap_err().kind, Kind::Usage, "{nothing}");
        }
    }
}
