//! From definitions back to SQL: what each kind says about making, changing and dropping its objects.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::quote_literal;
use super::words::{inside, items};
use super::{ObjectId, split_at_last_dot, split_on};

/// Objects with their definitions.
pub type Definitions = BTreeMap<ObjectId, String>;

/// What there is before and after a change, for what one object's definition does not say alone.
pub struct Ends<'a> {
    /// The objects that are there.
    pub before: &'a Definitions,
    /// Those that shall be.
    pub after: &'a Definitions,
    /// Those that are dropped and made again.
    pub anew: &'a BTreeSet<ObjectId>,
}

impl Ends<'_> {
    /// Whether an object is made that was not there.
    pub fn makes(&self, id: &ObjectId) -> bool {
        self.after.contains_key(id) && !self.before.contains_key(id)
    }

    /// Whether an object is made, again perhaps.
    pub fn comes(&self, id: &ObjectId) -> bool {
        self.after.contains_key(id) && (!self.before.contains_key(id) || self.anew.contains(id))
    }

    /// Whether an object is dropped, to be made again perhaps.
    pub fn goes(&self, id: &ObjectId) -> bool {
        self.before.contains_key(id) && (!self.after.contains_key(id) || self.anew.contains(id))
    }
}

/// Why there are no statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It has to be dropped and made again.
    Anew,
    /// No statement does it, and why.
    Never(&'static str),
}

/// Statements in order, without a semicolon at the end.
pub type Statements = Result<Vec<String>, Otherwise>;

/// How a kind's objects are made, changed and dropped. Of what is made or changed, the first statement leaves the object
/// itself; the others may come after what needs it.
#[derive(Clone, Copy)]
pub struct ToSql {
    /// From a definition.
    pub make: fn(&Ends<'_>, &ObjectId, &str) -> Statements,
    /// From the definition that it has to the one that it shall have.
    pub change: fn(&Ends<'_>, &ObjectId, &str, &str) -> Statements,
    /// With the definition that it has.
    pub drop: fn(&Ends<'_>, &ObjectId, &str) -> Statements,
}

impl ToSql {
    /// `CREATE kind name definition`, and `DROP kind name`; what changes is made anew.
    pub const USUAL: Self = Self {
        make: |_, id, definition| one(format!("CREATE {} {} {definition}", keyword(&id.kind), id.identity)),
        change: |_, _, _, _| Err(Otherwise::Anew),
        drop: |_, id, _| one(format!("DROP {} {}", keyword(&id.kind), id.identity)),
    };
}

/// One statement.
pub fn one(sql: String) -> Statements {
    let sql = sql.trim_end();
    Ok(vec![sql.to_owned()])
}

/// A kind as SQL writes it.
pub fn keyword(kind: &str) -> String {
    kind.to_uppercase().replace('-', " ")
}

/// A role as SQL writes it: who owns the database is named otherwise on each server.
pub fn role(name: &str) -> &str {
    match name {
        "the owner" => "CURRENT_USER",
        "public" => "PUBLIC",
        name => name,
    }
}

/// `OPTIONS (…)` of ALTER, from and to `(name 'value', …)`; none where they are the same.
pub fn options(before: Option<&str>, after: Option<&str>) -> Option<String> {
    let parse = |text: Option<&str>| -> BTreeMap<String, String> {
        let list = items(inside(text.unwrap_or_default())).into_iter();
        list.filter_map(|item| item.split_once(' '))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let (before, after) = (parse(before), parse(after));
    let gone = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(|name| format!("DROP {name}"));
    let set = after.iter().filter_map(|(name, value)| match before.get(name) {
        None => Some(format!("ADD {name} {value}")),
        Some(is) if is != value => Some(format!("SET {name} {value}")),
        Some(_) => None,
    });
    let actions: Vec<String> = gone.chain(set).collect();
    (!actions.is_empty()).then(|| format!("OPTIONS ({})", actions.join(", ")))
}

/// `SET (…)` and `RESET (…)` of storage parameters, from and to `(name=value, …)`.
pub fn parameters(before: Option<&str>, after: Option<&str>) -> Vec<String> {
    let parse = |text: Option<&str>| -> BTreeMap<String, String> {
        let list = items(inside(text.unwrap_or_default())).into_iter();
        list.filter_map(|item| item.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let (before, after) = (parse(before), parse(after));
    let gone: Vec<&str> = before
        .keys()
        .filter(|name| !after.contains_key(*name))
        .map(String::as_str)
        .collect();
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let set: Vec<String> = set.map(|(name, value)| format!("{name} = {}", quoted(value))).collect();
    let reset = (!gone.is_empty()).then(|| format!("RESET ({})", gone.join(", ")));
    reset
        .into_iter()
        .chain((!set.is_empty()).then(|| format!("SET ({})", set.join(", "))))
        .collect()
}

/// `WITH (…)` from `(name=value, …)`.
pub fn with(parameters: &str) -> String {
    let list = items(inside(parameters))
        .into_iter()
        .filter_map(|item| item.split_once('='));
    let list: Vec<String> = list
        .map(|(name, value)| format!("{name} = {}", quoted(value)))
        .collect();
    format!("WITH ({})", list.join(", "))
}

/// A storage parameter's value: a word or number as it is.
fn quoted(value: &str) -> String {
    let is_word = !value.is_empty() && value.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if is_word {
        value.to_owned()
    } else {
        quote_literal(value)
    }
}

/// A statement of which a part is not known before it runs.
pub fn block(body: &str) -> Statements {
    let tag = if body.contains("$do$") { "$xtask$" } else { "$do$" };
    one(format!("DO {tag} BEGIN {body}; END {tag}"))
}

/// When a trigger or rule fires: the definition without it, and what ALTER says.
pub fn firing(definition: &str) -> (&str, &'static str) {
    let states = [
        (" DISABLED", "DISABLE"),
        (" ENABLED REPLICA", "ENABLE REPLICA"),
        (" ENABLED ALWAYS", "ENABLE ALWAYS"),
    ];
    let found = states
        .into_iter()
        .find_map(|(suffix, action)| Some((definition.strip_suffix(suffix)?, action)));
    found.unwrap_or((definition, "ENABLE"))
}

/// `name on table` as two names; what is not of this form has no statement.
pub fn on_table(id: &ObjectId) -> Result<(&str, &str), Otherwise> {
    split_on(&id.identity).ok_or(MALFORMED)
}

/// `table.column` as two names.
pub fn of_table(id: &ObjectId) -> Result<(&str, &str), Otherwise> {
    split_at_last_dot(&id.identity).ok_or(MALFORMED)
}

/// A definition that the catalog does not print.
pub const MALFORMED: Otherwise = Otherwise::Never("its definition cannot be read");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_added_set_and_dropped() {
        let changed = options(Some("(a '1', b '2, 3', c '4')"), Some("(b '5', c '4', d '6')"));
        assert_eq!(changed.as_deref(), Some("OPTIONS (DROP a, SET b '5', ADD d '6')"));
        assert_eq!(options(Some("(a '1')"), Some("(a '1')")), None);
        assert_eq!(options(None, Some("(a '1')")).as_deref(), Some("OPTIONS (ADD a '1')"));
    }

    #[test]
    fn parameters_are_set_and_reset() {
        let changed = parameters(Some("(fillfactor=70, a=b)"), Some("(fillfactor=80, buffering=auto)"));
        assert_eq!(changed, ["RESET (a)", "SET (buffering = auto, fillfactor = 80)"]);
        assert!(parameters(None, None).is_empty());
        assert_eq!(with("(a=b c)"), "WITH (a = 'b c')");
    }

    #[test]
    fn whether_it_fires_stands_at_the_end() {
        assert_eq!(firing("CREATE TRIGGER t DISABLED"), ("CREATE TRIGGER t", "DISABLE"));
        assert_eq!(firing("CREATE TRIGGER t"), ("CREATE TRIGGER t", "ENABLE"));
    }
}
