use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use dataset::{CollectLimits, CompareOptions, Reader, ReaderLimits, Rejected, compare};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::folder::{Folder, LIMITS, number};

const FORMS: &str = "CREATE TABLE data(name TEXT PRIMARY KEY, pages); \
    INSERT INTO data VALUES ('DS-82', 6), ('DS-11', 6); CREATE TABLE empty(x)";

#[test]
fn a_sound_database_is_taken_in_as_it_is() {
    let folder = Folder::with(FORMS);
    let bytes = fs::read(folder.work("data.sqlite")).unwrap();
    let collected = folder.collect().unwrap();
    assert_eq!((collected.tables, collected.rows), (2, 2));
    assert_eq!(collected.bytes, bytes.len() as u64);
    assert_eq!(collected.checksum.len(), 64);
    assert_eq!(fs::read(folder.to()).unwrap(), bytes);
    assert_eq!(fs::read(folder.work("data.sqlite")).unwrap(), bytes);
}

#[test]
fn an_empty_file_is_an_empty_database() {
    let folder = Folder::new();
    File::create(folder.work("data.sqlite")).unwrap();
    let collected = folder.collect().unwrap();
    assert_eq!((collected.tables, collected.rows, collected.bytes), (0, 0, 0));
}

#[test]
fn what_is_missing_or_no_file_is_named() {
    let folder = Folder::new();
    assert!(matches!(folder.collect(), Err(Rejected::Missing)));
    let path = folder.work("data.sqlite");
    symlink("/etc/passwd", &path).unwrap();
    folder.is_rejected("a symbolic link");
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    folder.is_rejected("a named pipe");
    fs::remove_file(&path).unwrap();
    let _listener = UnixListener::bind(&path).unwrap();
    folder.is_rejected("a socket");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    folder.is_rejected("a folder");
}

#[test]
fn a_link_in_place_of_the_work_folder_is_not_followed() {
    let folder = Folder::with(FORMS);
    fs::rename(folder.root().join("work"), folder.root().join("elsewhere")).unwrap();
    symlink("elsewhere", folder.root().join("work")).unwrap();
    folder.is_rejected("opening the work folder");
}

#[test]
fn what_is_too_large_is_not_even_copied() {
    let folder = Folder::new();
    let file = File::create(folder.work("data.sqlite")).unwrap();
    // A sparse file of 1 TiB.
    file.set_len(1 << 40).unwrap();
    folder.is_rejected("data.sqlite has 1099511627776 bytes");
}

#[test]
fn the_journal_counts_for_the_size() {
    let folder = Folder::with(FORMS);
    let bytes = fs::metadata(folder.work("data.sqlite")).unwrap().len();
    fs::write(folder.work("data.sqlite-wal"), [0; 100]).unwrap();
    let limit = |max_bytes| CollectLimits { max_bytes, ..LIMITS };
    assert!(folder.collect_within(limit(bytes + 100)).is_ok());
    fs::remove_file(folder.to()).unwrap();
    let rejected = folder.collect_within(limit(bytes + 99)).unwrap_err();
    assert!(matches!(rejected, Rejected::TooLarge { bytes: found, .. } if found == bytes + 100));
}

#[test]
fn what_is_no_database_is_damaged() {
    let folder = Folder::new();
    fs::write(folder.work("data.sqlite"), "name,pages\nDS-82,6\n".repeat(100)).unwrap();
    folder.is_rejected("damaged: file is not a database");
}

#[test]
fn a_database_without_its_end_is_damaged() {
    let folder = Folder::with(FORMS);
    let file = File::options()
        .write(true)
        .open(folder.work("data.sqlite"))
        .unwrap();
    file.set_len(4096).unwrap();
    folder.is_rejected("data.sqlite is damaged");
}

#[test]
fn a_row_that_cannot_be_read_is_found() {
    let folder = Folder::with(FORMS);
    let path = folder.work("data.sqlite");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..4104].fill(0xff);
    fs::write(&path, bytes).unwrap();
    folder.is_rejected("data.sqlite is damaged");
}

#[test]
fn checking_has_an_end() {
    let many = "CREATE TABLE data(x); \
        INSERT INTO data WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 100000) SELECT x FROM n";
    let folder = Folder::with(many);
    let rejected = folder.collect_within(CollectLimits {
        timeout_ms: 0,
        ..LIMITS
    });
    assert!(matches!(rejected, Err(Rejected::TimedOut(0))), "{rejected:?}");
}

#[test]
fn rowids_stay() {
    let folder =
        Folder::with("CREATE TABLE data(x); INSERT INTO data(rowid, x) VALUES (7, 'a'), (1000000, 'b')");
    folder.collect().unwrap();
    assert_eq!(number(&folder.to(), "SELECT sum(rowid) FROM data"), 1_000_007);
}

#[test]
fn every_kind_of_table_is_counted() {
    let folder = Folder::with(
        "PRAGMA encoding = 'UTF-16'; \
        CREATE TABLE strict(a INTEGER PRIMARY KEY, b TEXT) STRICT; INSERT INTO strict VALUES (1, 'é'); \
        CREATE TABLE keyed(a TEXT PRIMARY KEY) WITHOUT ROWID; INSERT INTO keyed VALUES ('x'), ('y'); \
        CREATE TABLE computed(a, b AS (a + 1), c AS (a + 2) STORED); INSERT INTO computed(a) VALUES (1); \
        CREATE VIRTUAL TABLE found USING fts5(text); INSERT INTO found VALUES ('passport'); \
        CREATE VIEW seen AS SELECT * FROM strict; CREATE INDEX late ON computed(b)",
    );
    let collected = folder.collect().unwrap();
    assert_eq!((collected.tables, collected.rows), (3, 4));
}

#[test]
fn a_virtual_table_of_an_unknown_library_does_no_harm() {
    let folder = Folder::with(FORMS);
    let writer = folder.open();
    writer
        .execute_batch(
            "PRAGMA writable_schema=ON; \
            INSERT INTO sqlite_schema VALUES('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING spatial(x)')",
        )
        .unwrap();
    drop(writer);
    let collected = folder.collect().unwrap();
    assert_eq!((collected.tables, collected.rows), (2, 2));
}

#[test]
fn what_lay_in_the_scratch_folder_does_not_count() {
    let folder = Folder::with(FORMS);
    let scratch = folder.root().join("scratch");
    fs::create_dir(&scratch).unwrap();
    for name in [
        "data.sqlite",
        "data.sqlite-wal",
        "data.sqlite-journal",
        "data.sqlite-shm",
    ] {
        fs::write(scratch.join(name), "of a run that was killed").unwrap();
    }
    assert_eq!(folder.collect().unwrap().rows, 2);
}

/// Views and conditions are the scraper's own, made within SQLite's usual limits.
#[test]
fn a_schema_of_any_size_that_sqlite_takes_is_sound() {
    let union = vec!["SELECT 1"; 60].join(" UNION ALL ");
    let or = vec!["a = 1"; 250].join(" OR ");
    let columns: Vec<String> = (0..10).map(|number| format!("c{number}")).collect();
    let tables: String = (0..1_500)
        .map(|number| format!("CREATE TABLE t{number}({});", columns.join(", ")))
        .collect();
    let schemas = [
        format!("CREATE VIEW v AS {union}; CREATE TABLE data(a); INSERT INTO data VALUES (1)"),
        format!("CREATE TABLE data(a, CHECK ({or})); INSERT INTO data VALUES (1)"),
        format!("BEGIN; {tables} CREATE TABLE data(a); INSERT INTO data VALUES (1); COMMIT"),
    ];
    for schema in schemas {
        let folder = Folder::with(&schema);
        folder.collect().unwrap_or_else(|error| panic!("{error}"));
        let compared = compare(Some(&folder.to()), &folder.to(), &CompareOptions::default()).unwrap();
        assert_eq!(compared["data"].rows.unchanged, 1);
        let reader = Reader::open(&folder.to(), ReaderLimits::default()).unwrap();
        assert!(reader.tables().unwrap().iter().any(|table| table.name == "data"));
    }
}

#[test]
fn an_order_that_only_the_scraper_knows_is_no_damage() {
    let folder = Folder::new();
    let writer = folder.open();
    writer
        .create_collation("backwards", |one, other| other.cmp(one))
        .unwrap();
    writer
        .execute_batch(
            "CREATE TABLE data(a TEXT COLLATE backwards PRIMARY KEY, b); CREATE INDEX i ON data(b COLLATE backwards);
             INSERT INTO data VALUES ('x', 1), ('y', 2), ('z', 3)",
        )
        .unwrap();
    drop(writer);
    assert_eq!(folder.collect().unwrap().rows, 3);
    let compared = compare(None, &folder.to(), &CompareOptions::default()).unwrap();
    assert_eq!(compared["data"].rows.added, 3);
    let compared = compare(Some(&folder.to()), &folder.to(), &CompareOptions::default()).unwrap();
    assert_eq!(compared["data"].rows.unchanged, 3);
}
