//! The name of the next phase, as those before it are named.

use std::path::PathBuf;

use connection::{Error, Kind};
use migration::Phases;
use scratch::program;
use xshell::cmd;

/// The path below the folder: with the number after the last one, or the time where the last one has a time, and with
/// what else is peculiar to the last one's name.
///
/// # Errors
/// The time cannot be told.
pub fn next(phases: &Phases, title: &str) -> Result<PathBuf, Error> {
    let last = phases.phases.last().map_or("00_", |phase| phase.name.as_str());
    let name = following(last, &of_words(title), &now)?;
    let is_folder_of_a_tool = phases.dir.join(last).join("up.sql").is_file();
    Ok(if is_folder_of_a_tool {
        PathBuf::from(name).join("up.sql")
    } else {
        format!("{name}.sql").into()
    })
}

/// `Add venues` → `add_venues`.
pub fn of_words(title: &str) -> String {
    let parts = title.split(|letter: char| !letter.is_alphanumeric());
    let words: Vec<String> = parts.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join("_")
}

/// What follows this name, without an ending. `now` tells the time in the way of `date`.
fn following(last: &str, words: &str, now: &dyn Fn(&str) -> Result<String, Error>) -> Result<String, Error> {
    let (version, rest) = last.split_once('_').unwrap_or((last, ""));
    // golang-migrate has two endings.
    let up = if rest.ends_with(".up") { ".up" } else { "" };
    let number = version.strip_prefix('V').unwrap_or(version);
    if number.contains('-') {
        return Ok(format!("{}_{words}", now("+%Y-%m-%d-%H%M%S")?));
    }
    if number.len() == "20230518191501".len() {
        return Ok(format!("{}_{words}{up}", now("+%Y%m%d%H%M%S")?));
    }
    let whole = number.split('.').next().unwrap_or_default();
    let next = whole.parse::<u64>().unwrap_or_default() + 1;
    let width = whole.len();
    Ok(match version.strip_prefix('V') {
        Some(_) => format!("V{next:0width$}__{words}"),
        None => format!("{next:0width$}_{words}{up}"),
    })
}

fn now(form: &str) -> Result<String, Error> {
    let said = program::read("date", |sh, date| cmd!(sh, "{date} -u {form}"));
    said.map(|time| time.trim().to_owned())
        .ok_or_else(|| Error::new(Kind::Failed, "cannot tell the time", "the program date says nothing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tool_has_its_own_way() {
        let now = |form: &str| {
            Ok(form
                .replace("%Y", "2026")
                .replace("%m", "12")
                .replace("%d", "01")
                .replace("%H%M%S", "100203")
                .replace('+', ""))
        };
        for (last, next) in [
            ("10_data_cleanup", "11_x"),
            ("09_sync", "10_x"),
            ("99_last", "100_x"),
            ("0001_init.up", "0002_x.up"),
            ("V1__init", "V2__x"),
            ("V1.2__init", "V2__x"),
            ("V09__init", "V10__x"),
            ("20230518191501_init", "20261201100203_x"),
            ("2023-05-18-191501_init", "2026-12-01-100203_x"),
            ("00_", "01_x"),
        ] {
            assert_eq!(following(last, "x", &now).unwrap(), next, "{last}");
        }
        assert!(super::now("+%Y%m%d%H%M%S").unwrap().parse::<u64>().unwrap() > 20_260_000_000_000);
    }

    #[test]
    fn words_become_a_name() {
        assert_eq!(of_words("Add venues, and their Räume!"), "add_venues_and_their_räume");
        assert_eq!(of_words("../../x"), "x");
    }
}
