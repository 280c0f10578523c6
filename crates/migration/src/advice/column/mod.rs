//! Columns: their definitions, taken apart, and the statements that add or change one.

/// A column's definition, as the catalog's query puts it together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Definition<'a> {
    /// The type with its modifiers.
    pub kind: &'a str,
    /// A collation that is not the type's.
    pub collation: Option<&'a str>,
    /// `not null`, with what stands behind it.
    pub not_null: Option<&'a str>,
    /// Where a value comes from that INSERT leaves out.
    pub value: Value<'a>,
    pub storage: Option<&'a str>,
    pub compression: Option<&'a str>,
    pub statistics: Option<&'a str>,
    /// Options in parentheses.
    pub options: Option<&'a str>,
    /// Options of a foreign table's column, in parentheses.
    pub foreign_options: Option<&'a str>,
    /// It comes from the parent alone.
    pub inherited: bool,
}

/// Where a value comes from that INSERT leaves out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// It is null.
    #[default]
    None,
    /// `default`: the expression.
    Default(&'a str),
    /// `generated always as (…) stored`, whole.
    Generated(&'a str),
    /// `generated … as identity`: `always` or `by default`, and the sequence in parentheses.
    Identity { when: &'a str, sequence: &'a str },
}

/// The words of a text, each with its place. White space in parentheses and quotes divides nothing.
fn words(text: &str) -> Vec<(usize, &str)> {
    let (mut depth, mut quote, mut start) = (0_i32, None, None);
    let mut words = Vec::new();
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) if depth == 0 && c.is_whitespace() => {
                words.extend(start.take().map(|start| (start, &text[start..at])));
                continue;
            }
            (None, _) => {}
        }
        start.get_or_insert(at);
    }
    words.extend(start.map(|start| (start, &text[start..])));
    words
}

/// Reads a definition from left to right.
struct Cursor<'a> {
    text: &'a str,
    words: Vec<(usize, &'a str)>,
    next: usize,
}

impl<'a> Cursor<'a> {
    fn word(&self, ahead: usize) -> &'a str {
        self.words.get(self.next + ahead).map_or("", |(_, word)| *word)
    }

    /// Passes these words if they are next.
    fn passes(&mut self, expected: &[&str]) -> bool {
        let found = expected.iter().enumerate().all(|(n, word)| self.word(n) == *word);
        if found {
            self.next += expected.len();
        }
        found
    }

    fn take(&mut self) -> Option<&'a str> {
        let (_, word) = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }

    /// The text up to where a further part begins.
    fn take_until(&mut self, begins: impl Fn(&Self) -> bool) -> Option<&'a str> {
        let (start, _) = *self.words.get(self.next)?;
        self.next += 1;
        while self.next < self.words.len() && !begins(self) {
            self.next += 1;
        }
        let (last, word) = *self.words.get(self.next - 1)?;
        Some(&self.text[start..last + word.len()])
    }

    /// Whether what stands after the default begins here. No default has such words outside of quotes and parentheses:
    /// all that it may name is qualified, but types of several words.
    fn at_setting(&self) -> bool {
        match self.word(0) {
            "storage" | "compression" | "statistics" | "inherited" => true,
            "with" | "options" => self.word(1).starts_with('('),
            _ => false,
        }
    }

    fn at_any_part(&self) -> bool {
        match self.word(0) {
            "collate" | "default" | "generated" => true,
            "not" => self.word(1) == "null",
            _ => self.at_setting(),
        }
    }
}

impl<'a> Definition<'a> {
    /// Takes a definition apart; none where it is not one that the catalog's query makes.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor {
            text,
            words: words(text),
            next: 0,
        };
        let mut column = Self {
            kind: cursor.take_until(Cursor::at_any_part)?,
            ..Self::default()
        };
        if cursor.passes(&["collate"]) {
            column.collation = Some(cursor.take()?);
        }
        if cursor.word(0) == "not" {
            let begins = |cursor: &Cursor| matches!(cursor.word(0), "default" | "generated") || cursor.at_setting();
            column.not_null = Some(cursor.take_until(begins)?);
        }
        let start = cursor.words.get(cursor.next).map_or(text.len(), |(start, _)| *start);
        if cursor.passes(&["default"]) {
            column.value = Value::Default(cursor.take_until(Cursor::at_setting)?);
        } else if cursor.passes(&["generated", "by", "default", "as", "identity"]) {
            column.value = Value::Identity {
                when: "by default",
                sequence: cursor.take()?,
            };
        } else if cursor.passes(&["generated", "always", "as", "identity"]) {
            column.value = Value::Identity {
                when: "always",
                sequence: cursor.take()?,
            };
        } else if cursor.passes(&["generated", "always", "as"]) {
            cursor.take()?;
            // STORED or VIRTUAL.
            cursor.take()?;
            let end = cursor.words.get(cursor.next - 1).map(|(at, word)| at + word.len())?;
            column.value = Value::Generated(&text[start..end]);
        }
        while let Some(word) = cursor.take() {
            match word {
                "storage" => column.storage = Some(cursor.take()?),
                "compression" => column.compression = Some(cursor.take()?),
                "statistics" => column.statistics = Some(cursor.take()?),
                "with" => column.options = Some(cursor.take()?),
                "options" => column.foreign_options = Some(cursor.take()?),
                "inherited" => column.inherited = true,
                _ => return None,
            }
        }
        Some(column)
    }

    fn kind_and_collation(&self) -> String {
        match self.collation {
            Some(collation) => format!("{} collate {collation}", self.kind),
            None => self.kind.to_owned(),
        }
    }

    /// The sequence that the default takes numbers from, as it is named there.
    pub(super) fn sequence(&self) -> Option<String> {
        let Value::Default(expression) = self.value else {
            return None;
        };
        let name = expression.strip_prefix("nextval('")?.strip_suffix("'::regclass)")?;
        Some(name.replace("''", "'"))
    }
}

/// The statements that add a column, which may be declared by CREATE TABLE alone: what ADD COLUMN does not take, or takes
/// only since a later version, is set after it.
pub(super) fn add(table: &str, column: &str, definition: &str) -> Option<Vec<String>> {
    let parsed = Definition::parse(definition)?;
    if parsed.inherited {
        return None;
    }
    let mut parts = vec![parsed.kind_and_collation()];
    let fills_itself = parsed.value != Value::None;
    if let Some(not_null) = parsed.not_null.filter(|_| fills_itself) {
        parts.push(not_null.to_owned());
    }
    match parsed.value {
        Value::None => {}
        Value::Default(expression) => parts.push(format!("default {expression}")),
        Value::Generated(whole) => parts.push(whole.to_owned()),
        Value::Identity { when, sequence } => parts.push(format!("generated {when} as identity {sequence}")),
    }
    if let Some(options) = parsed.foreign_options {
        parts.push(format!("options {options}"));
    }
    let mut lines = vec![format!(
        "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {};",
        parts.join(" ")
    )];
    let alter = format!("ALTER TABLE {table} ALTER COLUMN {column}");
    if parsed.not_null.is_some() && !fills_itself {
        lines.push(fill(table, column));
        lines.push(format!("{alter} SET NOT NULL;"));
    }
    lines.extend(parsed.storage.map(|value| format!("{alter} SET STORAGE {value};")));
    lines.extend(
        parsed
            .compression
            .map(|value| format!("{alter} SET COMPRESSION {value};")),
    );
    lines.extend(
        parsed
            .statistics
            .map(|value| format!("{alter} SET STATISTICS {value};")),
    );
    lines.extend(parsed.options.map(|value| format!("{alter} SET {value};")));
    Some(lines)
}

/// A table that has rows needs values before SET NOT NULL; which ones, only a person knows.
fn fill(table: &str, column: &str) -> String {
    format!("-- if the table has rows, fill them first: UPDATE {table} SET {column} = … WHERE {column} IS NULL;")
}

/// The statements that change a column from one definition to another; none where ALTER COLUMN cannot.
pub(super) fn alter(table: &str, column: &str, expected: &str, actual: &str) -> Option<Vec<String>> {
    let (want, have) = (Definition::parse(expected)?, Definition::parse(actual)?);
    if want.inherited || have.inherited || want.foreign_options != have.foreign_options {
        return None;
    }
    let alter = format!("ALTER TABLE {table} ALTER COLUMN {column}");
    let mut lines = Vec::new();
    let retyped = want.kind != have.kind || want.collation != have.collation;
    let revalued = want.value != have.value;
    let mut value = Vec::new();
    if revalued {
        match (have.value, want.value) {
            // Nothing makes a plain column a generated one, or changes its expression on all versions.
            (_, Value::Generated(_)) => return None,
            (Value::Generated(_), _) => lines.push(format!("{alter} DROP EXPRESSION IF EXISTS;")),
            // An old default may not fit the new type.
            (Value::Default(_), Value::Default(_)) if retyped => lines.push(format!("{alter} DROP DEFAULT;")),
            (Value::Default(_), Value::None) => lines.push(format!("{alter} DROP DEFAULT;")),
            (Value::Identity { .. }, Value::None | Value::Default(_)) => {
                lines.push(format!("{alter} DROP IDENTITY IF EXISTS;"));
            }
            _ => {}
        }
        match (have.value, want.value) {
            (Value::Identity { sequence: have, .. }, Value::Identity { when, sequence: want }) => {
                if have != want {
                    return None;
                }
                value.push(format!("{alter} SET GENERATED {};", when.to_uppercase()));
            }
            (old, Value::Identity { when, sequence }) => {
                // An identity column refuses DROP DEFAULT, so it stands behind the condition too.
                let default = match old {
                    Value::Default(_) => format!("{alter} DROP DEFAULT; "),
                    _ => String::new(),
                };
                value.push(super::guarded(
                    &format!(
                        "EXISTS (SELECT FROM pg_attribute WHERE attrelid = {}::regclass AND attname = {} AND attidentity = '')",
                        super::literal(table),
                        super::literal(&super::unquoted(column))
                    ),
                    &format!("{default}{alter} ADD GENERATED {when} AS IDENTITY {sequence}"),
                )?);
                value.push(format!(
                    "-- if the table has rows, let it go on behind them: SELECT setval(pg_get_serial_sequence({}, {}), (SELECT max({column}) FROM {table}));",
                    super::literal(table),
                    super::literal(&super::unquoted(column))
                ));
            }
            (_, Value::Default(expression)) => value.push(format!("{alter} SET DEFAULT {expression};")),
            _ => {}
        }
    }
    if retyped {
        lines.push(format!(
            "-- rewrites the table unless the values stay as they are stored; where PostgreSQL cannot convert them itself, append: USING {column}::{}",
            want.kind
        ));
        // Without a collation PostgreSQL takes the type's.
        lines.push(format!("{alter} TYPE {};", want.kind_and_collation()));
    }
    // An identity column must be NOT NULL before it becomes one.
    match (have.not_null, want.not_null) {
        (None, Some("not null")) => {
            lines.push(fill(table, column));
            lines.push(format!("{alter} SET NOT NULL;"));
        }
        (Some(_), None) => value.push(format!("{alter} DROP NOT NULL;")),
        (have, want) if have == want => {}
        _ => return None,
    }
    lines.extend(value);
    if want.storage != have.storage {
        lines.push(format!("{alter} SET STORAGE {};", want.storage?));
    }
    if want.compression != have.compression {
        lines.push(format!(
            "{alter} SET COMPRESSION {};",
            want.compression.unwrap_or("default")
        ));
    }
    if want.statistics != have.statistics {
        lines.push(format!("{alter} SET STATISTICS {};", want.statistics.unwrap_or("-1")));
    }
    if want.options != have.options {
        lines.extend(have.options.map(|options| format!("{alter} RESET {};", names(options))));
        lines.extend(want.options.map(|options| format!("{alter} SET {options};")));
    }
    Some(lines)
}

/// The statements of [`add`], one by one, without what is for people.
pub(crate) fn statements_to_add(table: &str, column: &str, definition: &str) -> Option<Vec<String>> {
    let lines = add(table, column, definition)?.into_iter();
    let statements = lines.filter(|line| !line.starts_with("--"));
    Some(statements.map(|line| line.trim_end_matches(';').to_owned()).collect())
}

/// `(a=1, b=2)` without the values.
fn names(options: &str) -> String {
    let inner = options.trim_matches(['(', ')']);
    let names: Vec<&str> = inner
        .split(", ")
        .filter_map(|option| option.split('=').next())
        .collect();
    format!("({})", names.join(", "))
}

#[cfg(test)]
mod tests;
