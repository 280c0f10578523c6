//! Access lists: what they grant otherwise than an object's kind does by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::Oid;
use super::rows::Acl;
use super::sources::Rows;

/// Privileges by their letters in `aclitem` (PostgreSQL's documentation, "Privileges").
const PRIVILEGES: [(char, &str); 15] = [
    ('r', "select"),
    ('a', "insert"),
    ('w', "update"),
    ('d', "delete"),
    ('D', "truncate"),
    ('x', "references"),
    ('t', "trigger"),
    ('m', "maintain"),
    ('X', "execute"),
    ('U', "usage"),
    ('C', "create"),
    ('T', "temporary"),
    ('c', "connect"),
    ('s', "set"),
    ('A', "alter system"),
];

/// What GRANT ALL ON a table grants on every server.
const OF_TABLES: usize = 7;

/// What one grantee holds, by privilege.
type Held = BTreeMap<&'static str, Grant>;

#[derive(Default, Clone)]
struct Grant {
    is_grantable: bool,
    /// Those who are not the owner.
    grantors: BTreeSet<String>,
}

/// Privilege, grantee and definition of each difference.
pub fn differences(rows: &Rows, target: &str, owner: Oid, letter: char, acl: &Acl) -> Vec<(String, String, String)> {
    let owner_name = rows.raw_role(owner);
    let mut initial = acl.initial.clone();
    if target == "schema public" {
        initial.push(format!("=U/{owner_name}"));
    }
    let now = held(rows, &owner_name, letter, &acl.now);
    let initial = held(rows, &owner_name, letter, &initial);
    let grantees: BTreeSet<&String> = now.keys().chain(initial.keys()).collect();
    let none = Held::new();
    let mut found = Vec::new();
    for grantee in grantees {
        let (now, initial) = (now.get(grantee).unwrap_or(&none), initial.get(grantee).unwrap_or(&none));
        let privileges: BTreeSet<&&str> = now.keys().chain(initial.keys()).collect();
        let shown = match grantee.as_str() {
            "" => "public".to_owned(),
            name if *name == owner_name => "the owner".to_owned(),
            name => rows.quoted_role(name),
        };
        for privilege in privileges {
            let definition = match (now.get(*privilege), initial.get(*privilege)) {
                (Some(now), Some(initial)) if now.is_grantable == initial.is_grantable => continue,
                (Some(now), _) => granted(now),
                (None, _) => "revoked".to_owned(),
            };
            found.push(((*privilege).to_owned(), shown.clone(), definition));
        }
    }
    found
}

fn granted(grant: &Grant) -> String {
    let mut text = "granted".to_owned();
    if grant.is_grantable {
        text += " with grant option";
    }
    if !grant.grantors.is_empty() {
        text += " by ";
        text += &grant.grantors.iter().cloned().collect::<Vec<_>>().join(", ");
    }
    text
}

fn held(rows: &Rows, owner: &str, letter: char, items: &[String]) -> BTreeMap<String, Held> {
    let mut held: BTreeMap<String, Held> = BTreeMap::new();
    for item in items {
        let Some((grantee, privileges, grantor)) = parse(item) else {
            continue;
        };
        let of_grantee = held.entry(grantee).or_default();
        let mut letters = privileges.chars().peekable();
        while let Some(privilege) = letters.next() {
            let is_grantable = letters.next_if_eq(&'*').is_some();
            let Some((_, privilege)) = PRIVILEGES.iter().find(|(letter, _)| *letter == privilege) else {
                continue;
            };
            let grant = of_grantee.entry(privilege).or_default();
            grant.is_grantable |= is_grantable;
            if grantor != owner {
                grant.grantors.insert(rows.quoted_role(&grantor));
            }
        }
    }
    if matches!(letter, 'r' | 'R') {
        held.values_mut()
            .for_each(|held| take_maintain_for_granted(held, rows.server_version_num()));
    }
    held
}

/// GRANT ALL ON a table includes MAINTAIN from PostgreSQL 17 on. So that it is the same objects on every server, MAINTAIN
/// is taken for granted where all others are, and its lack is told instead.
fn take_maintain_for_granted(held: &mut Held, server_version_num: u32) {
    let maintain = held.get("maintain").cloned();
    if held.len() - usize::from(maintain.is_some()) != OF_TABLES {
        return;
    }
    held.remove("maintain");
    if maintain.is_none() && server_version_num >= 170_000 {
        held.insert("not maintain", Grant::default());
    }
}

/// Grantee (empty: everybody), letters and grantor of an `aclitem`.
fn parse(item: &str) -> Option<(String, &str, String)> {
    let (grantee, rest) = name(item)?;
    let (privileges, grantor) = rest.strip_prefix('=')?.split_once('/')?;
    Some((grantee, privileges, name(grantor)?.0))
}

/// The name at the beginning, without quotes, and what follows.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('=').unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut characters = quoted.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        if c != '"' {
            name.push(c);
        } else if characters.next_if(|(_, c)| *c == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, &quoted[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items() {
        let item = |text| parse(text).unwrap();
        assert_eq!(item("a=r*w/b"), ("a".to_owned(), "r*w", "b".to_owned()));
        assert_eq!(item("=U/b"), (String::new(), "U", "b".to_owned()));
        assert_eq!(
            item(r#""x=""y/"=r/"b c""#),
            ("x=\"y/".to_owned(), "r", "b c".to_owned())
        );
        assert!(parse("nothing").is_none());
    }

    #[test]
    fn only_what_differs_is_told() {
        let acl = |now: &[&str], initial: &[&str]| Acl {
            now: now.iter().map(|item| (*item).to_owned()).collect(),
            initial: initial.iter().map(|item| (*item).to_owned()).collect(),
        };
        let rows = Rows::default();
        let told = |acl: &Acl| differences(&rows, "table t", 0, 'r', acl);
        let owner = rows.raw_role(0);
        let all = format!("\"{owner}\"=arwdDxt/\"{owner}\"");
        assert_eq!(told(&acl(&[&all], &[&all])), []);
        let reader = format!("reader=r*/\"{owner}\"");
        assert_eq!(
            told(&acl(&[&all, &reader], &[&all])),
            [(
                "select".to_owned(),
                "reader".to_owned(),
                "granted with grant option".to_owned()
            )]
        );
        let less = format!("\"{owner}\"=arwdDx/\"{owner}\"");
        assert_eq!(
            told(&acl(&[&less], &[&all])),
            [("trigger".to_owned(), "the owner".to_owned(), "revoked".to_owned())]
        );
    }
}
