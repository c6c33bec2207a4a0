//! Files and schemas that mean harm.

use std::fs;

use dataset::{CompareOptions, QueryError, Question, Reader, ReaderLimits, Value, compare};
use proptest::prelude::*;

use crate::folder::Folder;

fn everything(reader: &Reader) -> Result<usize, QueryError> {
    let mut seen = 0;
    for table in reader.tables()? {
        let name = table.name.replace('"', "\"\"");
        seen += reader.ask(&Question::new(format!("SELECT * FROM \"{name}\"")), |rows| {
            let mut seen = 0;
            while let Some(row) = rows.next_row()? {
                seen += row.values().map(Value::into_owned).count();
            }
            Ok(seen)
        })?;
    }
    Ok(seen)
}

#[test]
fn what_a_schema_says_is_not_done() {
    let folder = Folder::with(
        "CREATE TABLE data(a, b AS (a + 1)); INSERT INTO data VALUES (1); CREATE TABLE log(x); \
        CREATE VIEW v AS SELECT a FROM data; \
        CREATE TRIGGER t INSTEAD OF INSERT ON v BEGIN INSERT INTO log VALUES (1); END",
    );
    folder.collect().unwrap_or_else(|error| panic!("{error}"));
    let reader = Reader::open(&folder.to(), ReaderLimits::default()).unwrap();
    let write = reader.ask(&Question::new("INSERT INTO v VALUES (1)"), |_| Ok(()));
    assert!(matches!(write, Err(QueryError::Sql(why)) if why == "not authorized"));
}

#[test]
fn a_view_cannot_do_what_a_question_cannot() {
    let folder = Folder::with(
        "CREATE VIEW loads AS SELECT load_extension('x'); CREATE VIEW lists AS SELECT * FROM pragma_database_list",
    );
    let reader = Reader::open(&folder.work("data.sqlite"), ReaderLimits::default()).unwrap();
    for view in ["loads", "lists"] {
        let asked = reader.ask(&Question::new(format!("SELECT * FROM {view}")), |rows| {
            rows.next_row().map(|_| ())
        });
        assert!(matches!(asked, Err(QueryError::Sql(_))), "{view}");
    }
}

#[test]
fn a_schema_that_is_no_sql_is_an_error() {
    let folder = Folder::with("CREATE TABLE data(x)");
    folder
        .open()
        .execute_batch("PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE data(x'")
        .unwrap();
    folder.is_rejected("malformed database schema");
    let opened = Reader::open(&folder.work("data.sqlite"), ReaderLimits::default());
    assert!(matches!(opened.map(|_| ()), Err(QueryError::Unreadable(_))));
}

/// A database of some pages, with a log or journal beside it.
fn sample(journal: usize) -> Folder {
    let mode = ["DELETE", "WAL", "TRUNCATE"][journal];
    let folder = Folder::with(&format!(
        "PRAGMA page_size=512; PRAGMA journal_mode={mode}; CREATE TABLE data(a PRIMARY KEY, b); CREATE INDEX i ON data(b); \
        CREATE TABLE keyed(x PRIMARY KEY) WITHOUT ROWID; CREATE VIEW v AS SELECT * FROM data"
    ));
    let writer = folder.open();
    writer
        .execute_batch(
            "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=2; \
            INSERT INTO data WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 60) SELECT x, hex(zeroblob(x * 9)) FROM n; \
            INSERT INTO keyed SELECT a FROM data; DELETE FROM data WHERE a > 40; BEGIN; UPDATE data SET b = b || 'x'",
        )
        .unwrap();
    folder.killed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damage_is_an_error_or_does_no_harm(
        journal in 0_usize..3,
        file in 0_usize..3,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let folder = sample(journal);
        let name = ["data.sqlite", "data.sqlite-wal", "data.sqlite-journal"][file];
        let path = folder.work(name);
        let mut bytes = fs::read(&path).unwrap_or_default();
        if !bytes.is_empty() {
            for (at, value) in &flips {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
        }
        fs::write(&path, &bytes).unwrap();
        if folder.collect().is_ok() {
            let _ = Reader::open(&folder.to(), ReaderLimits::default()).and_then(|reader| everything(&reader));
            let _ = compare(Some(&folder.to()), &folder.to(), &CompareOptions::default());
        }
    }

    #[test]
    fn whatever_is_asked_is_answered_or_refused(sql in "[ a-z0-9*(),'\"=;.]{0,60}", verb in 0_usize..4) {
        let folder = Folder::with("CREATE TABLE data(a PRIMARY KEY, b); INSERT INTO data VALUES (1, 'x')");
        let reader = Reader::open(&folder.work("data.sqlite"), ReaderLimits::default()).unwrap();
        let verb = ["", "select ", "select * from data where ", "with "][verb];
        let _ = reader.ask(&Question::new(format!("{verb}{sql}")), |rows| {
            while rows.next_row()?.is_some() {}
            Ok(())
        });
    }
}
