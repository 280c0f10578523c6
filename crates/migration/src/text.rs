//! How values stand in text, for the server and from it. It knows no other module.

use std::time::Duration;

use postgres::{SimpleQueryMessage, SimpleQueryRow};
use sha2::{Digest, Sha256};

/// The rows of what the server answered to a simple query.
pub fn rows(messages: Vec<SimpleQueryMessage>) -> impl Iterator<Item = SimpleQueryRow> {
    messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

/// A duration as the server's settings take it.
pub fn milliseconds(duration: Duration) -> String {
    // 0 would be: wait for ever.
    duration.as_millis().clamp(1, i32::MAX as u128).to_string()
}

/// The SHA-256 of a text, in hexadecimal.
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// A name for something of our own about a column: it needs no quotes and is not cut.
pub fn own_name(prefix: &str, table: &str, column: &str) -> String {
    format!("{prefix}{}", &sha256(&format!("{table}.{column}"))[..16])
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// A line of a file, with its number.
pub(crate) fn numbered(number: usize, line: &str) -> String {
    format!("{number:>5} │ {line}")
}

/// What stands below a [numbered] line: a caret under a column, counted in characters from 1. Tabs stay tabs, so that it
/// stands below its place.
pub(crate) fn caret(line: &str, column: u32) -> String {
    let before = line.chars().take((column as usize).saturating_sub(1));
    let before: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    format!("      │ {before}^")
}
