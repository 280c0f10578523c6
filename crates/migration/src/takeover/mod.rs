//! What another migration tool has applied to a database, as its version table says.

use std::cmp::Ordering;

use postgres::Client;
use postgres::types::Type;

/// What another tool has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The tool.
    pub tool: &'static str,
    /// Its version table, qualified and quoted.
    pub table: String,
    /// The versions that were applied successfully. Of Prisma they are the migrations' names.
    pub versions: Vec<String>,
    /// All versions up to this one are taken for applied, though the table does not name them: golang-migrate knows the
    /// last one only, Flyway and Atlas a baseline.
    pub through: Option<String>,
    /// The versions that failed, and of which nobody knows how far they went.
    pub failed: Vec<String>,
}

/// How a tool tells one version from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A number: 007 is 7.
    Number,
    /// Numbers between dots: 1.02 is 1.2, and 1.0 is 1.
    Numbers,
    /// A text.
    Text,
    /// A text: what stands before the first underscore of the name, without dashes.
    Dashes,
    /// The whole name.
    Name,
}

/// A tool and its version table.
struct Tool {
    name: &'static str,
    table: &'static str,
    /// The columns that tell the table from others of its name.
    columns: &'static [&'static str],
    /// It has these columns and no more.
    alone: bool,
    comparison: Comparison,
    /// Version and state of each, in order (of `t.version`, where a number would else be sorted as a text); states are `applied`, `failed`, `undone` and `through` (applied, with all
    /// before it). `{table}` stands for the table.
    query: &'static str,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "sqlx",
        table: "_sqlx_migrations",
        columns: &["version", "success"],
        alone: false,
        comparison: Comparison::Number,
        query: "SELECT version::text, CASE WHEN success THEN 'applied' ELSE 'failed' END FROM {table} t ORDER BY t.version",
    },
    Tool {
        name: "refinery",
        table: "refinery_schema_history",
        columns: &["version", "name", "applied_on", "checksum"],
        alone: false,
        comparison: Comparison::Number,
        query: "SELECT version::text, 'applied' FROM {table} t ORDER BY t.version",
    },
    Tool {
        name: "diesel",
        table: "__diesel_schema_migrations",
        columns: &["version", "run_on"],
        alone: false,
        comparison: Comparison::Dashes,
        query: "SELECT version::text, 'applied' FROM {table} ORDER BY version",
    },
    Tool {
        name: "golang-migrate",
        table: "schema_migrations",
        columns: &["version", "dirty"],
        alone: true,
        comparison: Comparison::Number,
        // -1 stands for no version at all.
        query: "SELECT version::text, CASE WHEN dirty THEN 'failed' ELSE 'through' END FROM {table} WHERE version >= 0",
    },
    Tool {
        name: "dbmate",
        table: "schema_migrations",
        columns: &["version"],
        alone: true,
        comparison: Comparison::Text,
        query: "SELECT version::text, 'applied' FROM {table} ORDER BY version",
    },
    Tool {
        name: "goose",
        table: "goose_db_version",
        columns: &["id", "version_id", "is_applied"],
        alone: false,
        comparison: Comparison::Number,
        // Older versions write a further row when a version is undone. Version 0 is its own.
        query:
            "SELECT DISTINCT ON (t.version_id) version_id::text, CASE WHEN is_applied THEN 'applied' ELSE 'undone' END
                FROM {table} t WHERE t.version_id > 0 ORDER BY t.version_id, t.id DESC",
    },
    Tool {
        name: "Flyway",
        table: "flyway_schema_history",
        columns: &["installed_rank", "version", "type", "success"],
        alone: false,
        comparison: Comparison::Numbers,
        // Repeatable migrations have no version.
        query: "SELECT v.version, v.state FROM (
                    SELECT DISTINCT ON (version) version::text AS version, installed_rank,
                        CASE WHEN NOT success THEN 'failed'
                             WHEN type LIKE 'UNDO%' OR type = 'DELETE' THEN 'undone'
                             WHEN type LIKE '%BASELINE' THEN 'through'
                             ELSE 'applied' END AS state
                    FROM {table} WHERE version IS NOT NULL ORDER BY version, installed_rank DESC) v
                ORDER BY v.installed_rank",
    },
    Tool {
        name: "Prisma",
        table: "_prisma_migrations",
        columns: &["migration_name", "finished_at", "rolled_back_at"],
        alone: false,
        comparison: Comparison::Name,
        // Each attempt has a row.
        query: "SELECT migration_name::text,
                    CASE WHEN bool_or(finished_at IS NOT NULL AND rolled_back_at IS NULL) THEN 'applied'
                         WHEN bool_or(finished_at IS NULL AND rolled_back_at IS NULL) THEN 'failed'
                         ELSE 'undone' END
                FROM {table} GROUP BY migration_name ORDER BY migration_name",
    },
    Tool {
        name: "Atlas",
        table: "atlas_schema_revisions",
        columns: &["version", "type", "applied", "total"],
        alone: false,
        comparison: Comparison::Text,
        // Of the type bit 1 is a baseline, bit 4 a failed one that a person resolved. Versions that begin with a dot are
        // Atlas's own notes.
        query: "SELECT version::text,
                    CASE WHEN type & 1 = 1 THEN 'through'
                         WHEN applied = total OR type & 4 = 4 THEN 'applied'
                         ELSE 'failed' END
                FROM {table} WHERE version NOT LIKE '.%' ORDER BY version",
    },
];

/// Looks for the version table of another tool and reads it. Where there are several, the first that knows a version
/// counts.
///
/// # Errors
/// Whatever the server or the connection reports: that the role may not read the table, say.
pub fn find(client: &mut Client) -> Result<Option<Applied>, postgres::Error> {
    let names: Vec<&str> = TOOLS.iter().map(|tool| tool.table).collect();
    let tables = client.query_typed(include_str!("tables.sql"), &[(&names, Type::TEXT_ARRAY)])?;
    let mut found = None;
    for row in &tables {
        let name: String = row.try_get("name")?;
        let columns: Vec<String> = row.try_get("columns")?;
        let is_its = |tool: &&Tool| {
            let has = |column: &&str| columns.iter().any(|other| other == column);
            tool.table == name && tool.columns.iter().all(has) && !(tool.alone && columns.len() > tool.columns.len())
        };
        let Some(tool) = TOOLS.iter().find(is_its) else {
            continue;
        };
        let applied = read(client, tool, row.try_get("identity")?)?;
        if !applied.versions.is_empty() || !applied.failed.is_empty() {
            return Ok(Some(applied));
        }
        found.get_or_insert(applied);
    }
    Ok(found)
}

fn read(client: &mut Client, tool: &Tool, table: String) -> Result<Applied, postgres::Error> {
    let rows = client.query_typed(&tool.query.replace("{table}", &table), &[])?;
    let mut applied = Applied {
        tool: tool.name,
        table,
        versions: Vec::new(),
        through: None,
        failed: Vec::new(),
    };
    for row in &rows {
        let version: String = row.try_get(0)?;
        match row.try_get(1)? {
            "failed" => applied.failed.push(version),
            "undone" => {}
            state => {
                if state == "through" {
                    applied.through = Some(version.clone());
                }
                applied.versions.push(version);
            }
        }
    }
    Ok(applied)
}

impl Applied {
    /// Whether the tool has applied a migration. `name` is its file's name without the ending, or its folder's:
    /// `20230518191501_init`; `version` the number in it: `20230518191501`, `1`, `1.2`.
    pub fn includes(&self, name: &str, version: &str) -> bool {
        let comparison = TOOLS
            .iter()
            .find(|tool| tool.name == self.tool)
            .map_or(Comparison::Text, |tool| tool.comparison);
        let own = match comparison {
            Comparison::Name => name.to_owned(),
            Comparison::Dashes => name.split('_').next().unwrap_or_default().replace('-', ""),
            _ => version.to_owned(),
        };
        let order = |other: &String| comparison.order(&own, other);
        if self.failed.iter().any(|failed| order(failed) == Some(Ordering::Equal)) {
            return false;
        }
        // Whatever golang-migrate failed at, it had done all before.
        let before_dirty =
            self.tool == "golang-migrate" && self.failed.iter().any(|n| order(n) == Some(Ordering::Less));
        before_dirty
            || self
                .versions
                .iter()
                .any(|applied| order(applied) == Some(Ordering::Equal))
            || self.through.iter().any(|last| order(last).is_some_and(Ordering::is_le))
    }
}

impl Comparison {
    /// How two versions compare; not at all where one is no version of this kind.
    fn order(self, a: &str, b: &str) -> Option<Ordering> {
        match self {
            Self::Number => Some(a.parse::<u128>().ok()?.cmp(&b.parse().ok()?)),
            Self::Numbers => Some(numbers(a)?.cmp(&numbers(b)?)),
            Self::Text | Self::Dashes | Self::Name => Some(a.cmp(b)),
        }
    }
}

/// The numbers of a version, without zeros at the end.
fn numbers(version: &str) -> Option<Vec<u128>> {
    let parts = version.split(['.', '_']).map(|part| part.parse().ok());
    let mut numbers = parts.collect::<Option<Vec<u128>>>()?;
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(tool: &'static str, versions: &[&str], through: Option<&str>, failed: &[&str]) -> Applied {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        assert!(TOOLS.iter().any(|known| known.name == tool));
        Applied {
            tool,
            table: String::new(),
            versions: texts(versions),
            through: through.map(ToOwned::to_owned),
            failed: texts(failed),
        }
    }

    #[test]
    fn numbers_have_no_leading_zeros() {
        for tool in ["sqlx", "refinery", "goose"] {
            let applied = applied(tool, &["1", "20230518191501"], None, &["3"]);
            assert!(applied.includes("0001_init", "0001"), "{tool}");
            assert!(applied.includes("V1__init", "1"), "{tool}");
            assert!(applied.includes("20230518191501_init", "20230518191501"), "{tool}");
            assert!(!applied.includes("0002_more", "0002"), "{tool}");
            assert!(!applied.includes("0003_failed", "0003"), "{tool}");
            assert!(!applied.includes("init", ""), "{tool}");
        }
    }

    #[test]
    fn texts_are_compared_as_they_stand() {
        let dbmate = applied("dbmate", &["0001"], None, &[]);
        assert!(dbmate.includes("0001_init", "0001"));
        assert!(!dbmate.includes("1_init", "1"));
        let atlas = applied(
            "Atlas",
            &["20220318104614", "20220318104615"],
            Some("20220318104614"),
            &["20220318104616"],
        );
        assert!(atlas.includes("20220101000000_before_the_baseline", "20220101000000"));
        assert!(atlas.includes("20220318104615_b", "20220318104615"));
        assert!(!atlas.includes("20220318104616_c", "20220318104616"));
    }

    #[test]
    fn diesel_leaves_out_dashes_and_prisma_has_names() {
        let diesel = applied("diesel", &["00000000000000", "20221023135826"], None, &[]);
        assert!(diesel.includes("2022-10-23-135826_block-layer", "2022"));
        assert!(diesel.includes("00000000000000_diesel_initial_setup", "00000000000000"));
        assert!(!diesel.includes("2022-10-23-135827_more", "2022"));
        let prisma = applied("Prisma", &["20230518191501_init"], None, &[]);
        assert!(prisma.includes("20230518191501_init", "20230518191501"));
        assert!(!prisma.includes("20230518191501_other", "20230518191501"));
    }

    #[test]
    fn golang_migrate_knows_the_last_one_only() {
        let clean = applied("golang-migrate", &["7"], Some("7"), &[]);
        assert!(clean.includes("000001_init.up", "000001"));
        assert!(clean.includes("000007_last.up", "000007"));
        assert!(!clean.includes("000008_next.up", "000008"));
        let dirty = applied("golang-migrate", &[], None, &["7"]);
        assert!(dirty.includes("000006_before.up", "000006"));
        assert!(!dirty.includes("000007_dirty.up", "000007"));
        assert!(!dirty.includes("000008_next.up", "000008"));
    }

    #[test]
    fn flyway_compares_part_by_part() {
        let flyway = applied("Flyway", &["2", "2.1", "3.10"], Some("2"), &["4"]);
        assert!(flyway.includes("V1_5__before_the_baseline", "1.5"));
        assert!(flyway.includes("V2.0__baseline", "2.0"));
        assert!(flyway.includes("V2_01__a", "2_01"));
        assert!(flyway.includes("V3.10__b", "3.10"));
        assert!(!flyway.includes("V3.1__c", "3.1"));
        assert!(!flyway.includes("V4__failed", "4"));
    }
}
