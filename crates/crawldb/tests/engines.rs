//! Both engines keep the contract of the store, and the SQLite file says clearly what is wrong with it.

use std::path::Path;

use crawldb::testkit::{conformance, sample_source};
use crawldb::{Crawldb, CrawldbError};

#[tokio::test]
async fn the_memory_engine_conforms() {
    conformance(&**Crawldb::memory().store()).await.unwrap();
}

#[tokio::test]
async fn the_sqlite_engine_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let crawldb = Crawldb::open(&folder.path().join("new/folder/crawl.db")).unwrap();
    conformance(&**crawldb.store()).await.unwrap();
    assert_eq!(crawldb.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crawl.db");
    let first = Crawldb::open(&path).unwrap();
    let second = Crawldb::open(&path).unwrap();
    let source = first.add_source(sample_source("docs")).await.unwrap();
    assert_eq!(second.source(&source.id).await.unwrap(), Some(source.clone()));
    drop((first, second));
    assert_eq!(
        Crawldb::open(&path).unwrap().source(&source.id).await.unwrap(),
        Some(source)
    );
}

fn refusal(path: &Path) -> String {
    Crawldb::open(path)
        .expect_err("the file must be refused")
        .to_string()
}

#[test]
fn a_file_that_is_no_database_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crawl.db");
    std::fs::write(&path, "this is a letter, not a database ".repeat(100)).unwrap();
    assert!(refusal(&path).contains("move it away"), "{}", refusal(&path));
}

#[test]
fn a_newer_format_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crawl.db");
    drop(Crawldb::open(&path).unwrap());
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    assert!(refusal(&path).contains("has format 99"), "{}", refusal(&path));
    assert!(refusal(&path).contains("upgrade Haul"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    assert!(refusal(&file.join("crawl.db")).contains("folder cannot be made"));
}

#[tokio::test]
async fn damage_is_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crawl.db");
    let crawldb = Crawldb::open(&path).unwrap();
    for number in 0..200 {
        crawldb
            .add_source(sample_source(&format!("docs-{number}")))
            .await
            .unwrap();
    }
    drop(crawldb);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() - 3 * 4096;
    bytes[middle..middle + 64].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let found = Crawldb::open(&path).unwrap().check().await;
    assert!(
        matches!(found, Ok(ref lines) if !lines.is_empty()) || matches!(found, Err(CrawldbError::Store(_))),
        "{found:?}"
    );
}
