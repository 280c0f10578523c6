//! What SQL names: by that statements are put in order.

use crate::catalog::{ObjectId, split_at_last_dot};

/// What other objects call an object in their definitions: schema and name. None where that is no qualified name.
pub fn key(id: &ObjectId) -> Option<String> {
    let identity = id.identity.as_str();
    match id.kind.as_str() {
        "column" => split_at_last_dot(identity).map(|(table, _)| table.to_owned()),
        "constraint" | "domain constraint" | "trigger" | "policy" | "rule" => None,
        "comment" | "owner" | "privilege" | "default privilege" | "security label" | "extension dependency" => None,
        _ => {
            let end = identity.find('(').unwrap_or(identity.len());
            let name = identity[..end].split(" using ").next().unwrap_or_default();
            mentions(name).into_iter().next()
        }
    }
}

/// The qualified names in a text, each as its first two parts, wherever they stand: in literals too, which may be names
/// (`'public.events_id_seq'::regclass`).
pub fn mentions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c == '"' || is_first(c)) {
        rest = &rest[start..];
        let first = identifier(rest);
        rest = &rest[first..];
        // Not the part of a number, nor of a longer name.
        let Some(after) = rest.strip_prefix('.') else {
            continue;
        };
        let second = identifier(after);
        let second = if second == 0 { operator(after) } else { second };
        if second > 0 {
            let whole = text.len() - rest.len() - first;
            found.push(text[whole..whole + first + 1 + second].to_owned());
        }
        rest = &after[second..];
        // A column of it is no name of its own.
        while let Some(more) = rest.strip_prefix('.') {
            rest = &more[identifier(more)..];
        }
    }
    found
}

/// A function without a body that is only text: PostgreSQL looks at it when it is called.
pub fn without_body(text: &str) -> &str {
    text.find("\nAS ").map_or(text, |at| &text[..at])
}

fn is_first(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

/// The length of the identifier at the beginning.
fn identifier(text: &str) -> usize {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut end = 0;
        while let Some(quote) = quoted[end..].find('"') {
            end += quote + 1;
            if quoted[end..].starts_with('"') {
                end += 1;
            } else {
                return end + 1;
            }
        }
        return text.len();
    }
    if !text.starts_with(is_first) {
        return 0;
    }
    text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .unwrap_or(text.len())
}

/// The length of the operator at the beginning.
fn operator(text: &str) -> usize {
    text.find(|c: char| !"+-*/<>=~!@#%^&|`?".contains(c))
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand() {
        assert_eq!(
            mentions("nextval('public.t_id_seq'::regclass) + 1.5"),
            ["public.t_id_seq"]
        );
        assert_eq!(
            mentions("public.t.a AND \"My x\".\"a \"\"b\"(1)"),
            ["public.t", "\"My x\".\"a \"\"b\""]
        );
        assert_eq!(mentions("a OPERATOR(app.===) b"), ["app.==="]);
        assert!(mentions("a, b.").is_empty());
    }

    #[test]
    fn keys_are_what_others_write() {
        let key = |text: &str| key(&text.parse().unwrap());
        assert_eq!(key("function public.f(integer, app.mood)").as_deref(), Some("public.f"));
        assert_eq!(key("column public.t.a").as_deref(), Some("public.t"));
        assert_eq!(key("operator app.===(integer,integer)").as_deref(), Some("app.==="));
        assert_eq!(key("operator class app.ops using btree").as_deref(), Some("app.ops"));
        assert_eq!(key("role reader"), None);
    }
}
