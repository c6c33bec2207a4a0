use super::*;
use crate::records::ItemState;
use crate::testkit::{sample_crawl, sample_item};

fn with_pragma(store: &SqliteStore, name: &str, value: i64) {
    let database = store.database.lock().unwrap();
    database.connection.pragma_update(None, name, value).unwrap();
}

/// Writes until nothing more fits; answers the refusal and how many items were acknowledged.
async fn fill(store: &SqliteStore) -> (StoreError, u64) {
    let crawl = sample_crawl("docs", 1_000);
    for batch in 0.. {
        let numbers = batch * 100..(batch + 1) * 100;
        let items: Vec<Item> = numbers
            .map(|number| sample_item(&crawl, "a.example", number, ItemState::Pending))
            .collect();
        if let Err(error) = store.put_items(&items).await {
            return (error, u64::from(batch) * 100);
        }
    }
    unreachable!("the store is limited")
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("crawl.db")).unwrap();
    with_pragma(&store, "max_page_count", 100);
    let (error, acknowledged) = fill(&store).await;
    assert!(
        error.retryable && error.to_string().contains("free some space"),
        "{error}"
    );
    let source = SourceId::new("docs").unwrap();
    let counted: u64 = store
        .counts(&source, None)
        .await
        .unwrap()
        .by_state
        .values()
        .map(|(all, _)| all)
        .sum();
    assert_eq!(counted, acknowledged);
    with_pragma(&store, "max_page_count", 1_000_000);
    let crawl = sample_crawl("docs", 1_000);
    let next = sample_item(&crawl, "b.example", 1, ItemState::Pending);
    assert!(
        matches!(store.put_items(&[next]).await.unwrap()[0], Written::Done(_)),
        "goes on when there is space"
    );
    assert_eq!(store.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_read_only_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("crawl.db")).unwrap();
    with_pragma(&store, "query_only", 1);
    let error = fill(&store).await.0;
    assert!(
        !error.retryable && error.to_string().contains("allow this user to write"),
        "{error}"
    );
}
