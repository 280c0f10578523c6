//! Full-text search: its parsers, templates, dictionaries and configurations.

use std::collections::BTreeMap;

use crate::catalog::rows::{Columns, PLAIN};
use crate::catalog::to_sql::{Otherwise, Statements, ToSql, keyword, one};
use crate::catalog::words::{Clauses, items};
use crate::catalog::ObjectId;

use super::Kind;

pub const KINDS: &[Kind] = &[
    Kind {
        names: &["text search parser"],
        root: "text_search_parsers",
        define: |rows, oid, objects| {
            objects.add_named("text search parser", "pg_ts_parser", oid, rows.text_search_parsers.get(oid));
        },
        to_sql: ToSql {
            make: |_, id, definition| of_functions(id, definition, &["start", "gettoken", "end", "headline", "lextypes"]),
            ..ToSql::USUAL
        },
    },
    Kind {
        names: &["text search template"],
        root: "text_search_templates",
        define: |rows, oid, objects| {
            objects.add_named("text search template", "pg_ts_template", oid, rows.text_search_templates.get(oid));
        },
        to_sql: ToSql {
            make: |_, id, definition| of_functions(id, definition, &["init", "lexize"]),
            ..ToSql::USUAL
        },
    },
    Kind {
        names: &["text search dictionary"],
        root: "text_search_dictionaries",
        define: |rows, oid, objects| {
            objects.add_named("text search dictionary", "pg_ts_dict", oid, rows.text_search_dictionaries.get(oid));
        },
        to_sql: ToSql {
            make: |_, id, definition| {
                let (template, options) = dictionary(definition);
                let options: String = options.iter().map(|(name, value)| format!(", {name} = {value}")).collect();
                one(format!("CREATE TEXT SEARCH DICTIONARY {} (template = {template}{options})", id.identity))
            },
            change: |_, id, before, after| {
                let ((was, before), (is, after)) = (dictionary(before), dictionary(after));
                if was != is {
                    return Err(Otherwise::Anew);
                }
                let gone = before.iter().filter(|(name, _)| !after.iter().any(|(other, _)| other == name));
                let gone = gone.map(|(name, _)| (*name).to_owned());
                let set = after.iter().filter(|option| !before.contains(option));
                let set = set.map(|(name, value)| format!("{name} = {value}"));
                let options: Vec<String> = gone.chain(set).collect();
                one(format!("ALTER TEXT SEARCH DICTIONARY {} ({})", id.identity, options.join(", ")))
            },
            ..ToSql::USUAL
        },
    },
    Kind {
        names: &["text search configuration"],
        root: "text_search_configurations",
        define: |rows, oid, objects| {
            objects.add_named("text search configuration", "pg_ts_config", oid, rows.text_search_configurations.get(oid));
        },
        to_sql: ToSql {
            make: |_, id, definition| {
                let (parser, mappings) = configuration(definition);
                let mut statements = vec![format!("CREATE TEXT SEARCH CONFIGURATION {} ({parser})", id.identity)];
                statements.extend(mappings.into_iter().map(|(token, dictionaries)| {
                    format!("ALTER TEXT SEARCH CONFIGURATION {} ADD MAPPING FOR {token} WITH {dictionaries}", id.identity)
                }));
                Ok(statements)
            },
            change: |_, id, before, after| {
                let ((was, before), (is, after)) = (configuration(before), configuration(after));
                if was != is {
                    return Err(Otherwise::Anew);
                }
                let alter = format!("ALTER TEXT SEARCH CONFIGURATION {}", id.identity);
                let gone = before.keys().filter(|token| !after.contains_key(*token));
                let mut statements: Vec<String> = gone.map(|token| format!("{alter} DROP MAPPING FOR {token}")).collect();
                for (token, dictionaries) in &after {
                    let action = match before.get(token) {
                        None => "ADD",
                        Some(is) if is != dictionaries => "ALTER",
                        Some(_) => continue,
                    };
                    statements.push(format!("{alter} {action} MAPPING FOR {token} WITH {dictionaries}"));
                }
                Ok(statements)
            },
            ..ToSql::USUAL
        },
    },
];

pub const PARSER: Columns = Columns {
    namespace: "prsnamespace",
    name: "quote_ident(prsname)",
    definition: "concat_ws(' ', 'start ' || prsstart, 'gettoken ' || prstoken, 'end ' || prsend,
        CASE WHEN prsheadline <> 0 THEN 'headline ' || prsheadline END, 'lextypes ' || prslextype)",
    ..PLAIN
};

pub const TEMPLATE: Columns = Columns {
    namespace: "tmplnamespace",
    name: "quote_ident(tmplname)",
    definition: "concat_ws(' ', CASE WHEN tmplinit <> 0 THEN 'init ' || tmplinit END, 'lexize ' || tmpllexize)",
    ..PLAIN
};

pub const DICTIONARY: Columns = Columns {
    namespace: "dictnamespace",
    name: "quote_ident(dictname)",
    owner: "dictowner",
    definition: "concat_ws(' ',
        'template ' || (SELECT a.object_names[1] || '.' || quote_ident(a.object_names[2])
            FROM pg_identify_object_as_address('pg_catalog.pg_ts_template'::regclass, dicttemplate, 0) a),
        dictinitoption)",
    ..PLAIN
};

pub const CONFIGURATION: Columns = Columns {
    namespace: "cfgnamespace",
    name: "quote_ident(cfgname)",
    owner: "cfgowner",
    definition: "concat_ws(' ',
        'parser ' || (SELECT a.object_names[1] || '.' || quote_ident(a.object_names[2])
            FROM pg_identify_object_as_address('pg_catalog.pg_ts_parser'::regclass, cfgparser, 0) a),
        (SELECT string_agg(mapping.text, ', ' ORDER BY mapping.text COLLATE \"C\")
         FROM (
             SELECT tt.alias || ' with ' || string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno) AS text
             FROM pg_catalog.pg_ts_config_map m
             JOIN ts_token_type(cfgparser) tt ON tt.tokid = m.maptokentype
             WHERE m.mapcfg = pg_ts_config.oid
             GROUP BY tt.alias) mapping))",
    ..PLAIN
};

/// `name value` pairs as options of CREATE.
fn of_functions(id: &ObjectId, definition: &str, names: &[&'static str]) -> Statements {
    let clauses = Clauses::of(definition, names);
    let options = names.iter().filter_map(|name| Some(format!("{name} = {}", clauses.get(name)?)));
    let options = options.collect::<Vec<_>>().join(", ");
    one(format!("CREATE {} {} ({options})", keyword(&id.kind), id.identity))
}

/// The template, and the options with their values.
fn dictionary(definition: &str) -> (&str, Vec<(&str, &str)>) {
    let rest = definition.strip_prefix("template ").unwrap_or(definition);
    let (template, options) = rest.split_once(' ').unwrap_or((rest, ""));
    let options = items(options).into_iter().filter_map(|option| option.split_once(" = "));
    (template, options.collect())
}

/// The parser, and the dictionaries of each kind of token.
fn configuration(definition: &str) -> (String, BTreeMap<String, String>) {
    let rest = definition.strip_prefix("parser ").unwrap_or(definition);
    let (parser, list) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut mappings: BTreeMap<String, String> = BTreeMap::new();
    let mut token = String::new();
    for item in items(list) {
        match item.split_once(" with ") {
            Some((of, dictionary)) => {
                of.clone_into(&mut token);
                mappings.insert(of.to_owned(), dictionary.to_owned());
            }
            // A further dictionary of the same token.
            None => {
                if let Some(dictionaries) = mappings.get_mut(&token) {
                    *dictionaries += ", ";
                    *dictionaries += item;
                }
            }
        }
    }
    (format!("parser = {parser}"), mappings)
}

#[cfg(test)]
mod tests {
    use crate::catalog::testing::Given;

    #[test]
    fn each_kind_has_its_rows() {
        let kinds = [
            ("text search parser", "text_search_parsers", "pg_ts_parser"),
            ("text search template", "text_search_templates", "pg_ts_template"),
            ("text search dictionary", "text_search_dictionaries", "pg_ts_dict"),
            ("text search configuration", "text_search_configurations", "pg_ts_config"),
        ];
        for (kind, source, class) in kinds {
            let values = [("namespace", "2200"), ("name", "german"), ("definition", "of four letters")];
            let given = Given::database().row(source, 20000, &values);
            assert_eq!(given.define(kind), "public.german: of four letters");
            assert_eq!(given.of_extension(class, 20000).define(kind), "");
        }
    }
}
