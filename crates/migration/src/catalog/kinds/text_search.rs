//! Full-text search: its parsers, templates, dictionaries and configurations.

use crate::catalog::rows::{Columns, PLAIN};

use super::Kind;

pub const KINDS: &[Kind] = &[
    Kind {
        names: &["text search parser"],
        root: "text_search_parsers",
        define: |rows, oid, objects| {
            objects.add_named("text search parser", "pg_ts_parser", oid, rows.text_search_parsers.get(oid));
        },
    },
    Kind {
        names: &["text search template"],
        root: "text_search_templates",
        define: |rows, oid, objects| {
            objects.add_named("text search template", "pg_ts_template", oid, rows.text_search_templates.get(oid));
        },
    },
    Kind {
        names: &["text search dictionary"],
        root: "text_search_dictionaries",
        define: |rows, oid, objects| {
            objects.add_named("text search dictionary", "pg_ts_dict", oid, rows.text_search_dictionaries.get(oid));
        },
    },
    Kind {
        names: &["text search configuration"],
        root: "text_search_configurations",
        define: |rows, oid, objects| {
            objects.add_named("text search configuration", "pg_ts_config", oid, rows.text_search_configurations.get(oid));
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
