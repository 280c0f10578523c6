//! What the name of a file or folder tells: its version, in the ways of several tools.

use std::path::Path;

/// The version of a phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    /// What phases are ordered by.
    pub key: Vec<u64>,
    /// As it stands in the name, and in the version tables of these tools.
    pub text: String,
}

/// The version that a name without its ending begins with: `03_tables`, `20230518191501_init` (sqlx, golang-migrate,
/// dbmate, goose, Prisma, Atlas), `2023-05-18-191501_init` (diesel), `V1__init`, `V1.2__init`, `V1_2__init` (Flyway,
/// refinery). None if it begins with none.
pub(super) fn version(stem: &str) -> Option<Version> {
    if let Some(version) = flyway(stem, 'V') {
        return Some(version);
    }
    let prefix = stem.split_once('_').map_or(stem, |(prefix, _)| prefix);
    let parts: Vec<&str> = prefix.split('-').collect();
    match parts.as_slice() {
        [digits] => Some(Version {
            key: vec![number(digits)?],
            text: (*digits).to_owned(),
        }),
        // Newer versions of diesel add a counter. Dates with and without dashes are ordered alike.
        [year, month, day, time, counter @ ..] if [year.len(), month.len(), day.len(), time.len()] == [4, 2, 2, 6] => {
            let mut key = vec![number(&parts[..4].concat())?];
            for part in counter {
                key.push(number(part)?);
            }
            Some(Version {
                key,
                text: parts.concat(),
            })
        }
        _ => None,
    }
}

/// The version of a file that undoes another in Flyway, or that runs out of order in refinery: `U1__init`.
pub(super) fn undone_version(stem: &str) -> Option<Version> {
    flyway(stem, 'U')
}

/// The version of a name in Flyway's way, which begins with this letter.
pub(super) fn flyway(stem: &str, letter: char) -> Option<Version> {
    let (version, _) = stem.strip_prefix(letter)?.split_once("__")?;
    let mut key = version.split(['.', '_']).map(number).collect::<Option<Vec<u64>>>()?;
    // 1.0 is version 1.
    while key.len() > 1 && key.last() == Some(&0) {
        key.pop();
    }
    Some(Version {
        key,
        text: version.replace('_', "."),
    })
}

fn number(digits: &str) -> Option<u64> {
    // A sign is none.
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

/// Whether a file undoes another: `x.down.sql`, and `down.sql` of diesel.
pub(super) fn is_down(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "down.sql" || name.ends_with(".down.sql")
}

/// Whether a file is left out by its name alone, though it looks like SQL: hidden, or with an ending like `.SQL`.
pub(super) fn is_overlooked(name: &str) -> bool {
    looks_like_sql(name) && !is_down(name) && (name.starts_with('.') || !name.ends_with(".sql"))
}

fn looks_like_sql(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".sql")
}

/// Whether there is SQL in a folder, or in one below it.
pub(super) fn holds_sql(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return false;
    };
    entries.flatten().any(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Links are not followed: they may lead in a circle.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => !name.starts_with('.') && holds_sql(&entry.path()),
            _ => looks_like_sql(&name) && !is_down(&name),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (stem, key, text) in [
            ("03_tables", vec![3], "03"),
            ("2_folder", vec![2], "2"),
            ("20230518191501_init", vec![20_230_518_191_501], "20230518191501"),
            ("20230518191501", vec![20_230_518_191_501], "20230518191501"),
            ("0001_x.up", vec![1], "0001"),
            ("V1__init", vec![1], "1"),
            ("V1.2__x", vec![1, 2], "1.2"),
            ("V1_2__x_y", vec![1, 2], "1.2"),
            ("V1.0__x", vec![1], "1.0"),
            ("2023-05-18-191501_init", vec![20_230_518_191_501], "20230518191501"),
            (
                "2023-05-18-191501-0001_init",
                vec![20_230_518_191_501, 1],
                "202305181915010001",
            ),
            ("00000000000000_diesel_initial_setup", vec![0], "00000000000000"),
        ] {
            let found = version(stem).unwrap_or_else(|| panic!("{stem} has no version"));
            assert_eq!((found.key, found.text.as_str()), (key, text), "{stem}");
        }
        for stem in [
            "tables",
            "_x",
            "+1_x",
            "1-2_x",
            "V1_x",
            "V__x",
            "R__views",
            "U1__init",
            "99999999999999999999_x",
            "é_x",
        ] {
            assert_eq!(version(stem), None, "{stem}");
        }
        assert_eq!(undone_version("U1.2__x").unwrap().key, [1, 2]);
    }
}
