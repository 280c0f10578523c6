//! Folders of phase files, read.

use super::*;

pub(super) fn read(files: &[(&str, &[u8])]) -> Result<Phases, PhaseError> {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    Phases::read(dir.path())
}

fn error(files: &[(&str, &[u8])]) -> String {
    read(files).unwrap_err().to_string()
}

#[test]
fn a_phase_is_a_file_or_a_folder_of_files() {
    let phases = read(&[
        ("10_last.sql", b"SELECT 10"),
        ("2_folder/b.sql", b"SELECT 'b'"),
        ("2_folder/a.sql", b"SELECT 'a'; SELECT 'a2';"),
        ("2_folder/README.md", b"not SQL"),
        ("1_first.sql", b"\xef\xbb\xbfSELECT 1;"),
        ("expected.json", b"{}"),
    ])
    .unwrap();
    let texts: Vec<_> = phases.statements().map(|statement| statement.text.as_str()).collect();
    assert_eq!(
        texts,
        ["SELECT 1", "SELECT 'a'", "SELECT 'a2'", "SELECT 'b'", "SELECT 10"]
    );
    assert_eq!(phases.phases[1].statements[2].place(), "2_folder/b.sql:1");
}

#[test]
fn what_cannot_run_is_told_with_file_and_line() {
    assert!(
        error(&[("01_a.sql", b"SELECT 1;\nSELECT 'x")])
            .ends_with("01_a.sql:2:8: a quoted string that begins here and does not end (' is missing)")
    );
    assert!(error(&[("01_a.sql", b"SELECT 1;\n\xff")]).contains("01_a.sql:2:1: not UTF-8"));
    assert!(error(&[("01_a.sql", b""), ("1_b.sql", b"")]).contains("phase 1 is there twice"));
    assert!(error(&[("tables.sql", b"")]).contains("NN_name.sql"));
    assert!(error(&[]).contains("no phase files"));
    assert!(error(&[("01_a.sql", b"\n\\connect x")]).contains("01_a.sql:2:1: a command of psql"));
    assert!(error(&[("01_a.sql", b"\n COPY t FROM STDIN;\n1\n")]).contains("01_a.sql:2:2: the rows of this COPY"));
    assert!(error(&[("01_a.sql", b"SELECT 1; DROP DATABASE x")]).contains("01_a.sql:1:11: DROP DATABASE in a phase"));
    assert!(
        Phases::read(Path::new("/nowhere/at/all"))
            .unwrap_err()
            .to_string()
            .contains("/nowhere/at/all")
    );
}

#[test]
fn directives_stand_above_their_statement() {
    let phases = read(&[(
        "01_a.sql",
        b"-- xtask: optional\n-- why\nCREATE EXTENSION x;\n-- xtask: prepares constraint public.t.c\nSELECT 1; SELECT 2",
    )])
    .unwrap();
    let directives: Vec<_> = phases
        .statements()
        .map(|statement| statement.directives.clone())
        .collect();
    assert!(directives[0].optional && directives[1].prepares.len() == 1);
    assert_eq!(directives[2], Directives::default());
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("01_a.sql"), "SELECT 1;\n\tSELECT 'x").unwrap();
    let marked = connection::Error::from(Phases::read(folder.path()).unwrap_err()).cause;
    assert!(marked.ends_with("    2 │ \tSELECT 'x\n      │ \t       ^"), "{marked}");
    assert!(error(&[("01_a.sql", b"-- xtask: maybe\nSELECT 1")]).contains("01_a.sql:1:1: unknown directive"));
    assert!(error(&[("01_a.sql", b"SELECT 1;\n-- xtask: always\n")]).contains("no statement below"));
    read(&[("01_a.sql", b"SELECT 1;\n-- written as \"-- xtask: always\" above it\n")]).unwrap();
}

#[test]
fn rows_of_copy_belong_to_their_statement() {
    let phases = read(&[(
        "01_a.sql",
        b"\\restrict x\nCOPY t (a, b) FROM stdin;\n1\tit's; fine\n\\.\n\n-- xtask: always\nSELECT 1;\n\\unrestrict x\n",
    )])
    .unwrap();
    let [copy, select] = phases.phases[0].statements.as_slice() else {
        panic!("{:?}", phases.phases[0].statements);
    };
    assert_eq!((copy.line, copy.text.as_str()), (2, "COPY t (a, b) FROM stdin"));
    assert_eq!(copy.copy_data.as_deref(), Some("1\tit's; fine\n"));
    assert_eq!((select.line, select.text.as_str()), (7, "SELECT 1"));
    assert!(select.copy_data.is_none() && select.directives.always);
}

#[test]
fn statements_between_begin_and_commit_bear_a_number() {
    let phases = read(&[
        (
            "01_a.sql",
            b"SELECT 1; BEGIN; SELECT 2; SELECT 3; COMMIT; SELECT 4;\nSTART TRANSACTION; SELECT 5; END;",
        ),
        ("02_b.sql", b"begin work; SELECT 6; commit work; BEGIN; COMMIT;"),
    ])
    .unwrap();
    let transactions: Vec<_> = phases.statements().map(|statement| statement.transaction).collect();
    assert_eq!(transactions, [None, Some(1), Some(1), None, Some(2), Some(3)]);
}

#[test]
fn transactions_begin_and_end_in_their_file() {
    for (text, says) in [
        ("SELECT 1;\n BEGIN; SELECT 2", "01_a.sql:2:2: BEGIN without a COMMIT"),
        ("SELECT 1;\nCOMMIT;", "01_a.sql:2:1: COMMIT without a BEGIN"),
        ("BEGIN;\nBEGIN;\nCOMMIT;", "01_a.sql:2:1: BEGIN inside of a transaction"),
        ("BEGIN;\nROLLBACK;", "01_a.sql:2:1: ROLLBACK in a phase"),
        (
            "\nBEGIN ISOLATION LEVEL SERIALIZABLE;",
            "01_a.sql:2:1: BEGIN with options",
        ),
        (
            "-- xtask: always\nBEGIN; SELECT 1; COMMIT;",
            "01_a.sql:2:1: a directive above BEGIN",
        ),
    ] {
        let error = error(&[("01_a.sql", text.as_bytes())]);
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn names_of_other_tools() {
    let phases = read(&[
        ("V1__init.sql", b"SELECT 'V1'"),
        ("V1.10__x.sql", b"SELECT 'V1.10'"),
        ("V1_2__x.sql", b"SELECT 'V1_2'"),
        ("U1_2__x.sql", b"DROP"),
        ("0003_x.up.sql", b"SELECT '0003'"),
        ("0003_x.down.sql", b"DROP"),
        ("2023-05-18-191501_diesel/up.sql", b"SELECT 'diesel'"),
        ("2023-05-18-191501_diesel/down.sql", b"DROP"),
        ("20230518191502_prisma/migration.sql", b"SELECT 'prisma'"),
        ("20230518191503_sqlx.sql", b"SELECT 'sqlx'"),
        ("migration_lock.toml", b""),
    ])
    .unwrap();
    let found: Vec<_> = phases
        .phases
        .iter()
        .map(|phase| {
            (
                phase.version_text(),
                phase.name.as_str(),
                phase.statements[0].text.as_str(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("1", "V1__init", "SELECT 'V1'"),
            ("1.2", "V1_2__x", "SELECT 'V1_2'"),
            ("1.10", "V1.10__x", "SELECT 'V1.10'"),
            ("0003", "0003_x.up", "SELECT '0003'"),
            ("20230518191501", "2023-05-18-191501_diesel", "SELECT 'diesel'"),
            ("20230518191502", "20230518191502_prisma", "SELECT 'prisma'"),
            ("20230518191503", "20230518191503_sqlx", "SELECT 'sqlx'"),
        ]
    );
    assert_eq!(phases.statements().count(), 7);
    assert_eq!(phases.left_out, [""; 0]);
    assert!(error(&[("V1__a.sql", b""), ("V1.0__b.sql", b"")]).contains("phase 1 is there twice"));
}

#[test]
fn only_what_makes_a_change_is_read() {
    let phases = read(&[
        (
            "01_dbmate.sql",
            b"-- migrate:up\n\nSELECT 1;\n-- migrate:down\nSELECT 'never",
        ),
        (
            "02_goose.sql",
            b"-- +goose Up\n-- +goose StatementBegin\n-- xtask: always\nSELECT 2;\n-- +goose StatementEnd\n\n-- +goose Down\nDROP TABLE t;\n",
        ),
    ])
    .unwrap();
    let found: Vec<_> = phases
        .statements()
        .map(|statement| (statement.place(), statement.text.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("01_dbmate.sql:3".to_owned(), "SELECT 1"),
            ("02_goose.sql:4".to_owned(), "SELECT 2"),
        ]
    );
    assert!(phases.phases[1].statements[0].directives.always);
    let error = error(&[("01_a.sql", b"SELECT 0;\n-- migrate:up\nSELECT 1;\n-- migrate:down\n")]);
    assert!(error.contains("01_a.sql:1:1: a statement above the line"), "{error}");
}

#[test]
fn what_is_left_out_is_told() {
    let phases = read(&[
        ("01_a.sql", b"SELECT 1"),
        ("02_b.SQL", b"SELECT 2"),
        (".03_c.sql", b"SELECT 3"),
        (".git/hooks.sql", b"SELECT 3"),
        ("04_d/a.sql", b"SELECT 4"),
        ("04_d/b.Sql", b"SELECT 4"),
        ("04_d/old/deep/a.sql", b"SELECT 4"),
        ("04_d/empty/README.md", b""),
        ("05_e/up.sql", b"SELECT 5"),
        ("05_e/down.sql", b"SELECT 5"),
        ("05_e/more.sql", b"SELECT 5"),
        ("U6__refinery.sql", b"SELECT 6"),
        ("old/a.sql", b"SELECT 0"),
        ("undo/a.down.sql", b"SELECT 0"),
        ("docs/README.md", b""),
        ("README.md", b""),
        ("expected.json", b"{}"),
    ])
    .unwrap();
    assert_eq!(phases.statements().count(), 3);
    assert_eq!(
        phases.left_out,
        [
            ".03_c.sql",
            "02_b.SQL",
            "04_d/b.Sql",
            "04_d/old/",
            "05_e/more.sql",
            "U6__refinery.sql",
            "old/"
        ]
    );
}
