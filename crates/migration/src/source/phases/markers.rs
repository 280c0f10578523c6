//! Files that say how a change is made and how it is undone: only the first is read.
//!
//! dbmate: `-- migrate:up` … `-- migrate:down`; goose: `-- +goose Up` … `-- +goose Down`; sql-migrate: `-- +migrate Up`
//! … `-- +migrate Down`.

/// What one line of such a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Up,
    Down,
    /// goose puts variables into what follows.
    Variables,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// Where it begins, in bytes: before it there may be comments only. 0 where there are no markers.
    pub start: usize,
    /// Where it ends, in bytes, and what undoes the change begins, if that is there.
    pub end: usize,
}

/// Finds the part of a file that makes a change; all of it, if it has no markers.
///
/// # Errors
/// Markers in an order that the tools refuse as well: where, and what is wrong.
pub(super) fn up_part(text: &str) -> Result<Part, (usize, &'static str)> {
    let (mut up, mut down) = (None, None);
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        let start = position;
        position += line.len();
        match marker(line) {
            None => {}
            // What only the other part would read is none of our business.
            Some(Marker::Variables) if down.is_some() => {}
            Some(Marker::Variables) => {
                return Err((
                    start,
                    "goose puts variables of the environment in here, which this tool does not: write the values",
                ));
            }
            Some(Marker::Up) if up.is_some() || down.is_some() => {
                return Err((start, "a second part that makes changes: put it into a file of its own"));
            }
            Some(Marker::Up) => up = Some(start),
            Some(Marker::Down) if up.is_none() => {
                return Err((
                    start,
                    "a part that undoes a change, and none above it that makes one: mark that one, too (up)",
                ));
            }
            Some(Marker::Down) if down.is_some() => {
                return Err((
                    start,
                    "a second part that undoes changes: put it into a file of its own",
                ));
            }
            Some(Marker::Down) => down = Some(start),
        }
    }
    Ok(Part {
        start: up.unwrap_or(0),
        end: down.unwrap_or(text.len()),
    })
}

fn marker(line: &str) -> Option<Marker> {
    let comment = line
        .trim_start_matches('\u{feff}')
        .trim()
        .strip_prefix("--")?
        .trim_start();
    // dbmate may be given options behind it; goose does not mind case.
    let mut words = comment.split_whitespace();
    let first = words.next()?;
    match first {
        "migrate:up" => return Some(Marker::Up),
        "migrate:down" => return Some(Marker::Down),
        _ => {}
    }
    if !first.eq_ignore_ascii_case("+goose") && !first.eq_ignore_ascii_case("+migrate") {
        return None;
    }
    let (command, rest) = (words.next()?, words.next());
    let is = |word: &str| command.eq_ignore_ascii_case(word);
    if is("up") {
        Some(Marker::Up)
    } else if is("down") {
        Some(Marker::Down)
    } else {
        (is("envsub") && rest.is_some_and(|on| on.eq_ignore_ascii_case("on"))).then_some(Marker::Variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_as_the_tools_accept_them() {
        for line in [
            "-- migrate:up",
            "--migrate:up\r\n",
            "--   migrate:up transaction:false",
            "-- +goose Up",
            "--+goose up",
            "-- +GOOSE  UP  ",
            "-- +migrate Up notransaction",
            "\u{feff}-- +goose Up",
        ] {
            assert_eq!(marker(line), Some(Marker::Up), "{line}");
        }
        for line in ["-- migrate:down", "-- +goose Down", "-- +migrate Down"] {
            assert_eq!(marker(line), Some(Marker::Down), "{line}");
        }
        for line in [
            "-- migrate:uplift",
            "-- how to migrate:up",
            "-- +goose StatementBegin",
            "-- +goose NO TRANSACTION",
            "SELECT 1 -- migrate:up",
            "-- +goose ENVSUB OFF",
        ] {
            assert_eq!(marker(line), None, "{line}");
        }
    }

    #[test]
    fn only_what_makes_a_change_is_read() {
        let part = |text: &str| up_part(text).map(|part| text[part.start..part.end].to_owned());
        assert_eq!(part("SELECT 1;\n"), Ok("SELECT 1;\n".to_owned()));
        assert_eq!(
            part("-- a\n-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n"),
            Ok("-- migrate:up\nSELECT 1;\n".to_owned())
        );
        for (text, offset) in [
            ("-- migrate:down\n", 0),
            ("-- migrate:up\n-- migrate:up\n", 14),
            ("-- +goose Up\n-- +goose Down\n-- +goose Down\n", 28),
            ("-- +goose Up\n-- +goose Down\n-- +goose Up\n", 28),
            ("-- +goose Up\n-- +goose ENVSUB ON\n", 13),
        ] {
            assert_eq!(part(text).unwrap_err().0, offset, "{text}");
        }
    }
}
