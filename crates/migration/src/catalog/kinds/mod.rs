//! One file a kind of object: its rows, and what its definition says. Each is registered here.

use super::cells::Oid;
use super::define::Objects;
use super::sources::Rows;
use super::to_sql::ToSql;

pub mod attached;

/// A kind of object, or several that share their rows.
pub struct Kind {
    /// What users call it; none where it only bears comments or privileges.
    pub names: &'static [&'static str],
    /// The source whose rows are such objects: one of [`sources`](super::sources::sources).
    pub root: &'static str,
    /// Adds what one row of `root`, and what belongs to it, defines.
    pub define: fn(&Rows, Oid, &mut Objects<'_>),
    /// From its definitions back to SQL.
    pub to_sql: ToSql,
}

macro_rules! kinds {
    (one { $($one:ident),* $(,)? } several { $($several:ident),* $(,)? }) => {
        $(pub mod $one;)*
        $(pub mod $several;)*

        /// All kinds.
        pub fn all() -> impl Iterator<Item = &'static Kind> {
            [$(&$one::KIND),*].into_iter().chain([$($several::KINDS),*].into_iter().flatten())
        }

        #[cfg(test)]
        const FILES: &[&str] = &[$(stringify!($one)),*, $(stringify!($several)),*];
    };
}

kinds! {
    one {
        access_method, cast, collation, column, constraint, conversion, database, event_trigger, extension, index,
        initial_privilege, language, operator, operator_class, operator_family, policy, role, role_membership,
        role_setting, routine, rule, schema, sequence, statistics, subscription, table, transform, trigger, types,
        user_mapping, view,
    }
    several { default_privilege, foreign, publication, text_search }
}

/// How the objects of a kind are made, changed and dropped.
pub fn to_sql(kind: &str) -> ToSql {
    let own = all().find(|of| of.names.contains(&kind)).map(|of| of.to_sql);
    let attached = || {
        attached::KINDS
            .iter()
            .find(|(name, _)| *name == kind)
            .map(|(_, to_sql)| *to_sql)
    };
    own.or_else(attached).unwrap_or(ToSql::USUAL)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_file_is_registered() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/catalog/kinds");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .filter_map(|entry| Some(entry.unwrap().path().file_stem()?.to_str()?.to_owned()))
            .filter(|name| !["mod", "attached"].contains(&name.as_str()))
            .collect();
        assert_eq!(files, FILES.iter().map(|name| (*name).to_owned()).collect());
    }

    #[test]
    fn each_kind_has_rows() {
        let sources: BTreeSet<&str> = crate::catalog::sources::sources()
            .iter()
            .map(|source| source.name)
            .collect();
        for kind in all() {
            assert!(sources.contains(kind.root), "{:?}: {}", kind.names, kind.root);
        }
    }
}
