//! The file of the registry: made, found again, refused.

use std::os::unix::fs::PermissionsExt;

use registry::{Keyring, Registry};

#[test]
fn only_its_owner_reads_it_and_it_opens_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    for _ in 0..2 {
        Registry::open(&path, Keyring::random()).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_a_newer_haul_wrote_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    Registry::open(&path, Keyring::random()).unwrap();
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute("UPDATE format SET version = 99", []).unwrap();
    drop(file);
    let refused = Registry::open(&path, Keyring::random()).err().unwrap();
    assert!(refused.to_string().contains("use a newer Haul"), "{refused}");
}

#[test]
fn another_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.execute_batch("CREATE TABLE data (a)").unwrap();
    let refused = Registry::open(&path, Keyring::random()).err().unwrap();
    assert!(refused.to_string().contains("no registry"), "{refused}");
    let tables: i64 = file
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

/// A file as the first format had it gets what later ones added, and keeps what is in it.
#[tokio::test]
async fn an_older_format_becomes_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let file = rusqlite::Connection::open(&path).unwrap();
    for tables in [
        include_str!("../src/schema/people.sql"),
        include_str!("../src/schema/runs.sql"),
        include_str!("../src/schema/belongings.sql"),
        "INSERT INTO format (version) VALUES (1);
         INSERT INTO owners (key, name, kind, created_at) VALUES ('ann', 'Ann', 'person', 1);
         INSERT INTO scrapers (key, id, owner, origin, settings, words, is_upload, created_at)
         VALUES ('ann/bus', 'Ann/bus', 'ann', '{\"kind\":\"folder\",\"path\":\"/srv\"}', '{}', '', 0, 1);",
    ] {
        file.execute_batch(tables).unwrap();
    }
    drop(file);
    for _ in 0..2 {
        let registry = Registry::open(&path, Keyring::random()).unwrap();
        let scraper = registry.scraper(&"ann/bus".parse().unwrap()).await.unwrap();
        assert_eq!(
            (scraper.id.to_string().as_str(), scraper.configuration),
            ("Ann/bus", 1)
        );
    }
}
