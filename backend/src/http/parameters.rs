//! Strict reading of paths and queries: what is not understood is refused, never guessed.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use percent_encoding::percent_decode_str;

use super::ApiError;

/// Characters that fit the column `airtable_id`.
const LONGEST_ID: usize = 255;
/// Events on a page, unless the client says how many.
const PAGE: i64 = 50;
/// Most events on a page.
const LARGEST_PAGE: i64 = 100;

/// Which page of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    /// Most events on it.
    pub limit: i64,
    /// The last `airtable_id` of the page before; empty for the first page.
    pub after: String,
}

impl Page {
    /// Reads `limit=…&after=…`.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(query: Option<&str>) -> Result<Self, ApiError> {
        let (mut limit, mut after) = (None, None);
        for (name, value) in pairs(query.unwrap_or_default())? {
            let repeated = match name.as_str() {
                "limit" => limit.replace(parse_limit(&value)?).is_some(),
                "after" => after.replace(checked_id("after", value)?).is_some(),
                _ => return Err(ApiError::bad_request("the parameters are limit and after")),
            };
            if repeated {
                return Err(ApiError::bad_request("a parameter is given twice"));
            }
        }
        Ok(Self {
            limit: limit.unwrap_or(PAGE),
            after: after.unwrap_or_default(),
        })
    }
}

/// Refuses any parameter, for routes that take none.
pub(super) fn none(query: Option<&str>) -> Result<(), ApiError> {
    match query {
        None | Some("") => Ok(()),
        Some(_) => Err(ApiError::bad_request("this route takes no parameters")),
    }
}

/// The `airtable_id` of a path.
pub(super) fn path_id(path: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::bad_request("the id is not UTF-8"))?;
    checked_id("the id", id)
}

fn parse_limit(value: &str) -> Result<i64, ApiError> {
    // Digits only: `parse` alone would take "+5".
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(limit @ 1..=LARGEST_PAGE) if digits => Ok(limit),
        _ => Err(ApiError::bad_request(format!(
            "limit is a number from 1 to {LARGEST_PAGE}"
        ))),
    }
}

fn checked_id(name: &str, id: String) -> Result<String, ApiError> {
    let length = id.chars().take(LONGEST_ID + 1).count();
    // PostgreSQL's text cannot hold NUL, and no id has a control character.
    if length == 0 || length > LONGEST_ID || id.chars().any(char::is_control) {
        return Err(ApiError::bad_request(format!(
            "{name} has 1 to {LONGEST_ID} characters and no control character"
        )));
    }
    Ok(id)
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, ApiError> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decoded(name)?, decoded(value)?))
        })
        .collect()
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let spaced = text.replace('+', " ");
    match percent_decode_str(&spaced).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(ApiError::bad_request("the query is not UTF-8")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Option<(i64, String)> {
        Page::parse(Some(query)).ok().map(|page| (page.limit, page.after))
    }

    #[test]
    fn pages() {
        assert_eq!(
            Page::parse(None).unwrap(),
            Page {
                limit: 50,
                after: String::new()
            }
        );
        assert_eq!(page(""), Some((50, String::new())));
        assert_eq!(page("limit=1&after=rec%C3%A9+1"), Some((1, "recé 1".into())));
        assert_eq!(page("%6Cimit=0100"), Some((100, String::new())));
    }

    #[test]
    fn hostile_queries() {
        let long = format!("after={}", "a".repeat(256));
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=+5",
            "limit=1e2",
            "limit=",
            "limit",
            "limit=%31%30%31",
            "limit=99999999999999999999999",
            "limit=１",
            "limit=1&limit=2",
            "after=%FF",
            "after=%00",
            "after=",
            "after=a%0Ab",
            "after=a&after=b",
            "offset=1",
            "%FF=1",
            "=",
            long.as_str(),
        ] {
            assert_eq!(page(query), None, "{query}");
        }
        assert!(page(&format!("after={}", "é".repeat(255))).is_some());
    }
}
