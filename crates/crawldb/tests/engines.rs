//! Both engines keep the contract of the store, and the SQLite file says clearly what is wrong with it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use crawldb::testkit::{LaggingStore, conformance, documents_conformance, sample_settings};
use crawldb::{Crawldb, CrawldbError, Source};
use model::{SourceId, Timestamp};

async fn add(crawldb: &Crawldb, name: &str) -> Source {
    let id = SourceId::new(name).unwrap();
    let added = crawldb
        .add_source(id, sample_settings(name), Timestamp::default())
        .await;
    added.unwrap()
}

async fn conforms(crawldb: &Crawldb) {
    conformance(&**crawldb.store()).await.unwrap();
    documents_conformance(&**crawldb.documents()).await.unwrap();
}

#[tokio::test]
async fn the_memory_engine_conforms() {
    conforms(&Crawldb::memory()).await;
}

#[tokio::test]
async fn a_store_whose_searches_lag_conforms() {
    let store = Arc::new(LaggingStore::default());
    conforms(&Crawldb::new(Arc::clone(&store) as _, store)).await;
}

#[tokio::test]
async fn the_sqlite_engine_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let crawldb = Crawldb::open(&folder.path().join("new/folder/crawl.db")).unwrap();
    conforms(&crawldb).await;
    assert_eq!(crawldb.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart_and_in_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("crawl.db");
    let first = Crawldb::open(&path).unwrap();
    let second = Crawldb::open(&path).unwrap();
    let source = add(&first, "docs").await;
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
        add(&crawldb, &format!("docs-{number}")).await;
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
