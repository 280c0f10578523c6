//! The system catalogs: the one list of what is read. From it come the message that reads everything, what is read again
//! after a statement, the fingerprint, and what counts as unknown.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::cells::{Cells, Oid};
use super::kinds::column::{Column, Default as ColumnDefault, TypeDefaults};
use super::kinds::constraint::Constraint;
use super::kinds::default_privilege::DefaultPrivilege;
use super::kinds::extension::Control;
use super::kinds::index::Index;
use super::kinds::initial_privilege::Changed;
use super::kinds::operator_family::{Function, Member as FamilyMember};
use super::kinds::policy::Policy;
use super::kinds::publication::{PublicationSchema, PublicationTable};
use super::kinds::role::Role;
use super::kinds::role_membership::Membership;
use super::kinds::role_setting::Settings;
use super::kinds::routine::{Aggregate, Routine};
use super::kinds::rule::Rule;
use super::kinds::sequence::{Owned, Sequence};
use super::kinds::table::{Foreign, Inherits, Relation};
use super::kinds::trigger::Trigger;
use super::kinds::types::{DomainConstraint, Label, Range, Type};
use super::kinds::user_mapping::UserMapping;
use super::kinds::view::View;
use super::kinds::{
    access_method, cast, collation, conversion, database, default_privilege, event_trigger, extension, foreign,
    language, operator, operator_class, operator_family, publication, schema, statistics, subscription, text_search,
    transform,
};
use super::query::{Of, Source, source};
use super::rows::{Columns, Named, Replaced, Table, row};

/// Objects with lower numbers came with initdb (`FirstNormalObjectId`).
pub const FIRST_USER_OID: Oid = 16384;

macro_rules! sources {
    ($($(#[$doc:meta])* $name:ident: $row:ty = $source:expr;)*) => {
        /// The rows of all sources.
        #[derive(Default, Clone)]
        pub struct Rows {
            $($(#[$doc])* pub $name: Table<$row>,)*
            /// The roles that may run the migrations.
            pub(super) migrators: BTreeSet<Oid>,
        }

        /// The list.
        pub fn sources() -> &'static [Source] {
            static SOURCES: OnceLock<Vec<Source>> = OnceLock::new();
            SOURCES.get_or_init(|| vec![$($source.named::<$row>(stringify!($name)),)*])
        }

        impl Rows {
            /// Adds a row that the server answered to the query of a source.
            pub fn add(&mut self, source: &str, cells: &mut Cells<'_>) {
                match source {
                    $(stringify!($name) => self.$name.add(cells),)*
                    _ => {}
                }
            }

            /// The names of a source's values.
            #[cfg(test)]
            pub fn fields(source: &str) -> &'static [&'static str] {
                match source {
                    $(stringify!($name) => <$row as crate::catalog::rows::Row>::FIELDS,)*
                    _ => &[],
                }
            }

            /// Whether a source has rows that belong to an object.
            pub fn has(&self, source: &str, key: Oid) -> bool {
                match source {
                    $(stringify!($name) => self.$name.get(key).is_some(),)*
                    _ => false,
                }
            }

            /// What rows of a source belong to.
            pub fn keys(&self, source: &str) -> Vec<Oid> {
                match source {
                    $(stringify!($name) => self.$name.keys().collect(),)*
                    _ => Vec::new(),
                }
            }

            /// Puts the rows that another one has of a source in the place of those that were there for the same keys;
            /// those of `gone` go.
            pub fn replace(&mut self, source: &str, gone: &BTreeSet<Oid>, other: &mut Self) -> Replaced {
                match source {
                    $(stringify!($name) => {
                        self.$name.replace(gone.iter().copied(), std::mem::take(&mut other.$name))
                    })*
                    _ => Replaced::default(),
                }
            }

            /// How many objects have rows.
            pub fn len(&self) -> usize {
                0 $(+ self.$name.len())*
            }
        }
    };
}

const OF_OID: Of = Of::Relations(&["oid"]);
const USERS: &str = "oid >= 16384";
const COLUMNS: &str = "attrelid >= 16384 AND attnum > 0 AND NOT attisdropped";
/// Columns of what holds long values are always the same; of indexes only targets of statistics are told.
const NEEDED_COLUMNS: &str = "attstattarget >= 0 OR attrelid NOT IN (
    SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind IN ('t', 'i', 'I'))";
const NEEDED_INDEXES: &str = "indrelid NOT IN (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 't')";
/// Not the constructors of ranges and multiranges, which come with their types, nor what extensions made.
const ROUTINES: &str = "oid >= 16384 AND NOT (prolang = 12 AND prosrc LIKE '%range\\_constructor%') AND oid NOT IN (
    SELECT d.objid FROM pg_catalog.pg_depend d
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
      AND d.classid = 'pg_catalog.pg_proc'::regclass)";
/// The cast of a range to its multirange comes with the type.
const CASTS: &str = "oid >= 16384 AND castfunc NOT IN (
    SELECT p.oid FROM pg_catalog.pg_proc p WHERE p.prolang = 12 AND p.prosrc = 'multirange_constructor1')";
const TYPE_DEFAULTS: &str = "typrelid = 0 AND CASE WHEN typinput = 'pg_catalog.array_in'::regproc
    THEN typcollation NOT IN (0, 100) ELSE typcollation <> 0 OR typstorage <> 'p' END";
const TYPES: &str = "oid >= 16384 AND NOT (typinput = 'pg_catalog.array_in'::regproc AND typelem <> 0)";
const OWNED: &str = "classid = 'pg_catalog.pg_class'::regclass AND objid >= 16384 AND objsubid = 0
    AND refclassid = 'pg_catalog.pg_class'::regclass AND refobjsubid > 0 AND deptype IN ('a', 'i')
    AND objid IN (SELECT s.seqrelid FROM pg_catalog.pg_sequence s)";
const IDENTITIES: &str = "refclassid = 'pg_catalog.pg_class'::regclass AND refobjid >= 16384 AND refobjsubid > 0
    AND classid = 'pg_catalog.pg_class'::regclass AND objsubid = 0 AND deptype = 'i'";
const MEMBERS: &str = "refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'e'";
const DEPENDENCIES: &str = "refclassid = 'pg_catalog.pg_extension'::regclass AND deptype = 'x'";
const CONTROLS: &str = "(SELECT count(*) > 0 FROM pg_catalog.pg_extension e WHERE e.oid >= 16384)
    AND name IN (SELECT e.extname FROM pg_catalog.pg_extension e)";
const GRANTABLE: &[&str] = &[
    "pg_class",
    "pg_attribute",
    "pg_proc",
    "pg_type",
    "pg_namespace",
    "pg_language",
    "pg_foreign_data_wrapper",
    "pg_init_privs",
];
const INITIAL: &str = "(SELECT s.*, v.initprivs AS was FROM (
        SELECT 'pg_class' AS class, 'pg_catalog.pg_class'::regclass AS classid, oid, 0 AS sub, relowner AS owner,
               CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\" AS letter, relacl AS now, relnamespace AS namespace
        FROM pg_catalog.pg_class
        UNION ALL
        SELECT 'pg_class', 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum, c.relowner, 'c', a.attacl, c.relnamespace
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
        WHERE a.attacl IS NOT NULL
        UNION ALL
        SELECT 'pg_proc', 'pg_catalog.pg_proc'::regclass, oid, 0, proowner, 'f', proacl, pronamespace
        FROM pg_catalog.pg_proc
        UNION ALL
        SELECT 'pg_type', 'pg_catalog.pg_type'::regclass, oid, 0, typowner, 'T', typacl, typnamespace
        FROM pg_catalog.pg_type
        UNION ALL
        SELECT 'pg_namespace', 'pg_catalog.pg_namespace'::regclass, oid, 0, nspowner, 'n', nspacl, oid
        FROM pg_catalog.pg_namespace
        UNION ALL
        SELECT 'pg_language', 'pg_catalog.pg_language'::regclass, oid, 0, lanowner, 'l', lanacl,
               CASE WHEN oid < 16384 THEN 'pg_catalog'::regnamespace END
        FROM pg_catalog.pg_language
        UNION ALL
        SELECT 'pg_foreign_data_wrapper', 'pg_catalog.pg_foreign_data_wrapper'::regclass, oid, 0, fdwowner, 'F', fdwacl, NULL
        FROM pg_catalog.pg_foreign_data_wrapper) s
    LEFT JOIN pg_catalog.pg_init_privs v ON v.classoid = s.classid AND v.objoid = s.oid AND v.objsubid = s.sub
    WHERE s.now IS NOT NULL AND s.now IS DISTINCT FROM v.initprivs
      AND (s.oid < 16384 AND s.oid <> 2200 OR EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = s.classid AND d.objid = s.oid AND d.deptype = 'e'))) p
    CROSS JOIN LATERAL pg_identify_object(p.classid, p.oid, p.sub) i";

sources! {
    /// Tables, views, indexes, sequences, composite types; and those holders of long values that have options.
    relations: Relation = source("pg_class", "oid", OF_OID)
        .only("oid >= 16384 AND (relkind <> 't' OR reloptions IS NOT NULL)");
    /// Columns, and attributes of composite types.
    columns: Column = source("pg_attribute", "attrelid", Of::Relations(&["attrelid"])).only(COLUMNS)
        .needed(NEEDED_COLUMNS).part_of("relations");
    /// Of columns.
    defaults: ColumnDefault = source("pg_attrdef", "adrelid", Of::Relations(&["adrelid"])).part_of("relations");
    /// Of tables.
    constraints: Constraint = source("pg_constraint", "conrelid", Of::Relations(&["conrelid"]))
        .only("conrelid >= 16384 AND NOT (contype = 'f' AND conparentid <> 0)").part_of("relations").told_by(&["pg_class", "pg_index"]);
    /// By the index.
    indexes: Index = source("pg_index", "indexrelid", Of::Relations(&["indexrelid", "indrelid"]))
        .only("indexrelid >= 16384")
        .needed(NEEDED_INDEXES).part_of("relations").told_by(&["pg_class"]);
    /// Of tables and views.
    triggers: Trigger = source("pg_trigger", "tgrelid", Of::Relations(&["tgrelid"]))
        .only("NOT tgisinternal").part_of("relations");
    /// Of tables and views.
    rules: Rule = source("pg_rewrite", "ev_class", Of::Relations(&["ev_class"]))
        .only("ev_class >= 16384 AND rulename <> '_RETURN'").part_of("relations");
    /// Of tables.
    policies: Policy = source("pg_policy", "polrelid", Of::Relations(&["polrelid"])).part_of("relations").rare();
    /// The queries of views.
    views: View = source("pg_class", "oid", OF_OID).only("oid >= 16384 AND relkind IN ('v', 'm')")
        .told_by(&["pg_rewrite"]).part_of("relations");
    /// By the child.
    inherits: Inherits = source("pg_inherits", "inhrelid", Of::Relations(&["inhrelid"])).part_of("relations");
    /// By the table.
    foreign_tables: Foreign = source("pg_foreign_table", "ftrelid", Of::Relations(&["ftrelid"])).part_of("relations").rare();
    /// By the sequence.
    sequences: Sequence = source("pg_sequence", "seqrelid", Of::Relations(&["seqrelid"])).part_of("relations");
    /// By the sequence.
    owned_sequences: Owned = source("pg_depend", "objid", Of::Relations(&["objid", "refobjid"]))
        .only(OWNED).part_of("relations");
    /// Of identity columns, by the table.
    identities: Owned = source("pg_depend", "refobjid", Of::Relations(&["refobjid"]))
        .only(IDENTITIES).part_of("relations");
    /// Types and domains, and the row types of tables.
    types: Type = source("pg_type", "oid", Of::Itself).only(TYPES);
    /// Of all types, PostgreSQL's too.
    type_defaults: TypeDefaults = source("pg_type", "oid", Of::Itself).only(TYPE_DEFAULTS).part_of("");
    /// Of enums.
    labels: Label = source("pg_enum", "enumtypid", Of::Object).part_of("types");
    /// By the range type.
    ranges: Range = source("pg_range", "rngtypid", Of::Object).only("rngtypid >= 16384").part_of("types");
    /// By the domain.
    domain_constraints: DomainConstraint = source("pg_constraint", "contypid", Of::Object)
        .only("contypid >= 16384").part_of("types");
    /// Functions, procedures and aggregates.
    routines: Routine = source("pg_proc", "oid", Of::Itself).only(ROUTINES);
    /// By the routine.
    aggregates: Aggregate = source("pg_aggregate", "aggfnoid::oid", Of::Object)
        .only("aggfnoid::oid >= 16384").part_of("routines");
    /// Operators.
    operators: Named = source("pg_operator", "oid", Of::Itself).columns(&operator::COLUMNS).only(USERS);
    /// Operator classes.
    operator_classes: Named = source("pg_opclass", "oid", Of::Itself).columns(&operator_class::COLUMNS).only(USERS);
    /// Operator families.
    operator_families: Named = source("pg_opfamily", "oid", Of::Itself).columns(&operator_family::COLUMNS).only(USERS);
    /// By the family.
    operators_of_families: FamilyMember = source("pg_amop", "amopfamily", Of::Object)
        .only("amopfamily >= 16384").part_of("operator_families");
    /// By the family.
    functions_of_families: Function = source("pg_amproc", "amprocfamily", Of::Object)
        .only("amprocfamily >= 16384").part_of("operator_families");
    /// Casts.
    casts: Named = source("pg_cast", "oid", Of::Itself).columns(&cast::COLUMNS).only(CASTS);
    /// Collations.
    collations: Named = source("pg_collation", "oid", Of::Itself).columns(&collation::COLUMNS).only(USERS);
    /// Conversions.
    conversions: Named = source("pg_conversion", "oid", Of::Itself).columns(&conversion::COLUMNS).only(USERS);
    /// Languages.
    languages: Named = source("pg_language", "oid", Of::Itself).columns(&language::COLUMNS).only(USERS);
    /// Transforms.
    transforms: Named = source("pg_transform", "oid", Of::Itself).columns(&transform::COLUMNS).rare();
    /// PostgreSQL's too.
    access_methods: Named = source("pg_am", "oid", Of::Itself).columns(&access_method::COLUMNS);
    /// Parsers.
    text_search_parsers: Named = source("pg_ts_parser", "oid", Of::Itself).columns(&text_search::PARSER).only(USERS);
    /// Templates.
    text_search_templates: Named = source("pg_ts_template", "oid", Of::Itself)
        .columns(&text_search::TEMPLATE).only(USERS);
    /// Dictionaries.
    text_search_dictionaries: Named = source("pg_ts_dict", "oid", Of::Itself)
        .columns(&text_search::DICTIONARY).only(USERS);
    /// Configurations.
    text_search_configurations: Named = source("pg_ts_config", "oid", Of::All)
        .columns(&text_search::CONFIGURATION).only(USERS).told_by(&["pg_ts_config_map"]);
    /// Foreign-data wrappers.
    wrappers: Named = source("pg_foreign_data_wrapper", "oid", Of::Itself).columns(&foreign::WRAPPER).rare();
    /// Foreign servers.
    servers: Named = source("pg_foreign_server", "oid", Of::Itself).columns(&foreign::SERVER).rare();
    /// By their numbers; through the view that shows options to those who may see them.
    user_mappings: UserMapping = source("pg_user_mappings", "umid", Of::All).told_by(&["", "pg_user_mapping"]).rare();
    /// Publications.
    publications: Named = source("pg_publication", "oid", Of::Itself).columns(&publication::PUBLICATION).rare();
    /// Tables of publications.
    publication_tables: PublicationTable = source("pg_publication_rel", "oid", Of::Itself).rare();
    /// Schemas of publications.
    publication_schemas: PublicationSchema = source("pg_publication_namespace", "oid", Of::Itself).rare();
    /// Of this database.
    subscriptions: Named = source("pg_subscription", "oid", Of::All).columns(&subscription::COLUMNS)
        .only("subdbid = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())").rare();
    /// Event triggers.
    event_triggers: Named = source("pg_event_trigger", "oid", Of::Itself).columns(&event_trigger::COLUMNS).rare();
    /// Extended statistics.
    statistics: Named = source("pg_statistic_ext", "oid", Of::Itself).columns(&statistics::COLUMNS).rare();
    /// All schemas.
    schemas: Named = source("pg_namespace", "oid", Of::Itself).columns(&schema::COLUMNS);
    /// Extensions.
    extensions: Named = source("pg_extension", "oid", Of::Itself).columns(&extension::COLUMNS);
    /// What control files say of them.
    controls: Control = source("pg_available_extensions()", "0", Of::All).only(CONTROLS).part_of("");
    /// The database itself.
    databases: Named = source("pg_database", "oid", Of::All).columns(&database::COLUMNS)
        .only("datname = current_database()");
    /// All roles; through the view that every role may read.
    roles: Role = source("pg_roles", "oid", Of::All).told_by(&["", "pg_authid"]);
    /// By the member.
    role_memberships: Membership = source("pg_auth_members", "member", Of::All);
    /// By the role.
    role_settings: Settings = source("pg_db_role_setting", "setrole", Of::All).only("setdatabase IN (0, (
        SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()))");
    /// What ALTER DEFAULT PRIVILEGES said.
    default_privileges: DefaultPrivilege = source("pg_default_acl", "oid", Of::Itself);
    /// Parameters that somebody was granted.
    parameters: Named = source("pg_parameter_acl", "oid", Of::Itself).columns(&default_privilege::PARAMETER).rare();
    /// Tablespaces.
    tablespaces: Named = source("pg_tablespace", "oid", Of::Itself).columns(&TABLESPACE).part_of("");
    /// By the object: of objects of users, of schema public.
    comments: Comment = source("pg_description", "objoid", Of::Object)
        .only("objoid >= 16384 OR classoid = 'pg_catalog.pg_namespace'::regclass AND objoid = 2200").part_of("");
    /// By the object.
    shared_comments: SharedComment = source("pg_shdescription", "objoid", Of::Object).part_of("");
    /// By the object.
    security_labels: SecurityLabel = source("pg_seclabel", "objoid", Of::Object).part_of("").rare();
    /// By the object.
    shared_security_labels: SharedSecurityLabel = source("pg_shseclabel", "objoid", Of::Object).part_of("").rare();
    /// What belongs to extensions, by the object.
    members: Dependency = source("pg_depend", "objid", Of::All).only(MEMBERS).part_of("");
    /// What depends on extensions, by the object.
    extension_dependencies: Dependency = source("pg_depend", "objid", Of::All).only(DEPENDENCIES).part_of("");
    /// What initdb and extensions made and somebody changed, by the object.
    initial_privileges: Changed = source(INITIAL, "oid", Of::All).told_by(GRANTABLE).only_by_grant();
    /// Who reads, and where.
    session: Session = source("(SELECT) one", "0", Of::All).part_of("");
}

const TABLESPACE: Columns = Columns {
    name: "quote_ident(spcname)",
    ..super::rows::PLAIN
};

row! {
    /// A comment.
    Comment {
        class: String = "classoid::regclass",
        sub: i32 = "objsubid",
        comment: String = "description",
    }
}

row! {
    /// A comment on something that all databases share.
    SharedComment {
        class: String = "classoid::regclass",
        comment: String = "description",
    }
}

row! {
    /// A security label.
    SecurityLabel {
        class: String = "classoid::regclass",
        sub: i32 = "objsubid",
        provider: String = "quote_ident(provider)",
        label: String = "label",
    }
}

row! {
    /// A security label of something that all databases share.
    SharedSecurityLabel {
        class: String = "classoid::regclass",
        sub: i32 = "0",
        provider: String = "quote_ident(provider)",
        label: String = "label",
    }
}

row! {
    /// That something depends on an extension.
    Dependency {
        class: String = "classid::regclass",
        extension: Oid = "refobjid",
    }
}

row! {
    /// Who reads, and where.
    Session {
        version: u32 = "current_setting('server_version_num')",
        version_text: String = "current_setting('server_version')",
        role: String = "current_user",
        may_create: bool = "has_database_privilege(current_database(), 'CREATE')",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::query::Scope;

    /// Views and functions of PostgreSQL that show catalogs of the list to roles that may not read them, or one row.
    const SHOWN: [&str; 4] = [
        "pg_roles",
        "pg_user_mappings",
        "pg_identify_object",
        "pg_available_extensions()",
    ];

    #[test]
    fn no_other_catalog_is_read() {
        let listed: BTreeSet<&str> = sources().iter().flat_map(Source::catalogs).collect();
        for source in sources() {
            let query = source.query(Scope::Without(&[]));
            let named = query.split(['(', ')', ' ', '\n', ',', ';', '\'']);
            for word in named.filter_map(|word| word.strip_prefix("pg_catalog.")) {
                let is_function = word == "array_in";
                assert!(
                    listed.contains(word)
                        || SHOWN.iter().any(|shown| shown.trim_end_matches("()") == word)
                        || is_function,
                    "{}: {word}",
                    source.name
                );
            }
            let from = query.split("FROM ").skip(1);
            for table in from.filter_map(|rest| rest.split_whitespace().next()) {
                let is_qualified = table.starts_with("pg_catalog.") || table.contains('(') || !table.starts_with("pg_");
                assert!(is_qualified, "{}: {table}", source.name);
            }
        }
    }
}
