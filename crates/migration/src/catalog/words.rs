//! Definitions, taken apart into words.

/// The characters that stand neither in quotes nor in parentheses, with their places; of a quoted text and of parentheses
/// only the end.
fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut depth, mut quote) = (0_i32, None);
    text.char_indices().filter(move |(_, c)| {
        match (quote, c) {
            (Some(open), _) if open == *c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(*c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) => {}
        }
        quote.is_none() && depth == 0
    })
}

/// The words of a text, each with its place. White space in parentheses and quotes divides nothing.
pub fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = 0;
    let spaces = outside(text).filter(|(_, c)| c.is_whitespace());
    for (at, length) in spaces.map(|(at, c)| (at, c.len_utf8())).chain([(text.len(), 0)]) {
        if start < at {
            words.push((start, &text[start..at]));
        }
        start = at + length;
    }
    words
}

/// A definition's clauses: what stands before the first keyword, and behind each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clauses<'a> {
    /// What stands before the first keyword.
    pub head: &'a str,
    found: Vec<(&'static str, &'a str)>,
}

impl<'a> Clauses<'a> {
    /// Cuts a definition at those of `keywords` that it has, in this order; each may be several words.
    pub fn of(text: &'a str, keywords: &[&'static str]) -> Self {
        let words = words(text);
        let place = |n: usize| words.get(n).map_or(text.len(), |(at, _)| *at);
        let mut starts: Vec<(&'static str, usize, usize)> = Vec::new();
        let mut left = keywords;
        let mut n = 0;
        while n < words.len() {
            let begins = |keyword: &&'static str| {
                let parts: Vec<&str> = keyword.split(' ').collect();
                let is = words
                    .get(n..n + parts.len())
                    .is_some_and(|found| found.iter().map(|(_, word)| *word).eq(parts.iter().copied()));
                is.then_some(parts.len())
            };
            let found = left
                .iter()
                .enumerate()
                .find_map(|(at, keyword)| Some((at, *keyword, begins(keyword)?)));
            match found {
                Some((at, keyword, count)) => {
                    starts.push((keyword, place(n), place(n + count)));
                    left = &left[at + 1..];
                    n += count;
                }
                None => n += 1,
            }
        }
        let ends = starts.iter().skip(1).map(|(_, at, _)| *at).chain([text.len()]);
        let found = starts
            .iter()
            .zip(ends)
            .map(|((keyword, _, begin), end)| (*keyword, text[*begin..end.max(*begin)].trim()));
        Self {
            head: text[..starts.first().map_or(text.len(), |(_, at, _)| *at)].trim(),
            found: found.collect(),
        }
    }

    /// What stands behind a keyword; none where it is not there.
    pub fn get(&self, keyword: &str) -> Option<&'a str> {
        self.found
            .iter()
            .find(|(found, _)| *found == keyword)
            .map(|(_, text)| *text)
    }

    /// Whether a keyword is there.
    pub fn has(&self, keyword: &str) -> bool {
        self.get(keyword).is_some()
    }
}

/// Cuts a list at the commas that are neither in parentheses nor in quotes.
pub fn items(list: &str) -> Vec<&str> {
    let mut start = 0;
    let commas = outside(list).filter(|(_, c)| *c == ',').map(|(at, _)| at);
    let items = commas.chain([list.len()]).map(|at| {
        let item = list[start..at].trim();
        start = at + 1;
        item
    });
    items.filter(|item| !item.is_empty()).collect()
}

/// What stands in the parentheses around a text.
pub fn inside(text: &str) -> &str {
    text.strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clauses_are_cut_at_keywords_outside_of_quotes() {
        let text = "unlogged partition of app.part FOR VALUES IN ('with (') with (a=1, b=2) row level security";
        let clauses = Clauses::of(
            text,
            &["unlogged", "partition of", "inherits", "with", "row level security"],
        );
        assert_eq!(clauses.head, "");
        assert_eq!(clauses.get("partition of"), Some("app.part FOR VALUES IN ('with (')"));
        assert_eq!(clauses.get("with"), Some("(a=1, b=2)"));
        assert!(clauses.has("unlogged") && clauses.has("row level security") && !clauses.has("inherits"));
        assert_eq!(Clauses::of("app.x as y", &["as"]).head, "app.x");
    }

    #[test]
    fn items_are_cut_at_commas_outside_of_quotes() {
        assert_eq!(items("a 'x, y', f(b, c), \"d,\""), ["a 'x, y'", "f(b, c)", "\"d,\""]);
        assert!(items("").is_empty());
        assert_eq!(inside("(a, b)"), "a, b");
    }
}
