use std::sync::{Arc, Mutex};

use axum::extract::Request;
use axum::middleware::map_request;
use crawldb::testkit::{sample_crawl, sample_item};
use crawldb::{Crawldb, DocumentStore, IndexName, Item, ItemState, Scan, Store, Written};
use model::ItemId;
use remote::{MAX_BATCH, RemoteOptions, RemoteStore};

use crate::documents::document;
use crate::service::{Service, quick, router};

fn items(count: u32) -> Vec<Item> {
    let crawl = sample_crawl("docs", 1_000);
    (0..count)
        .map(|number| sample_item(&crawl, "a.example", number, ItemState::Pending))
        .collect()
}

#[tokio::test]
async fn large_batches_are_sent_in_parts_and_keep_their_order() {
    let service = Service::of(&Crawldb::memory());
    let remote = service.client();
    let mut items = items(2 * MAX_BATCH as u32 + 3);
    items.push(items[0].clone());

    let written = remote.put_items(&items).await.unwrap();
    assert_eq!(written.len(), items.len());
    let Written::Done(first) = written[0] else {
        panic!("new items are taken")
    };
    assert_eq!(
        written.last(),
        Some(&Written::Conflict(first)),
        "judged after the first one"
    );
    items.pop();
    assert!(
        written[..items.len()]
            .iter()
            .all(|written| matches!(written, Written::Done(_)))
    );

    let ids: Vec<ItemId> = items.iter().rev().map(|item| item.id.clone()).collect();
    let got = remote.get_items(&items[0].source, &ids).await.unwrap();
    assert!(got.iter().flatten().map(|item| &item.id).eq(&ids));

    remote.refresh().await.unwrap();
    let limit = MAX_BATCH + 2;
    let scanned = remote.scan(&Scan::all(&items[0].source, limit)).await.unwrap();
    assert!(
        scanned
            .iter()
            .map(|item| &item.id)
            .eq(items[..limit].iter().map(|item| &item.id))
    );
    let all = remote
        .scan(&Scan::all(&items[0].source, usize::MAX))
        .await
        .unwrap();
    assert_eq!(all.len(), items.len());
    assert_eq!(remote.delete_items(&all).await.unwrap().len(), items.len());
}

#[tokio::test]
async fn nothing_is_a_batch_too() {
    let service = Service::of(&Crawldb::memory());
    let remote = service.client();
    assert_eq!(remote.put_items(&[]).await.unwrap(), []);
    assert_eq!(remote.scan(&Scan::all(&items(1)[0].source, 0)).await.unwrap(), []);
}

/// Fewer records than a batch may have, and more bytes than a body may have.
#[tokio::test]
async fn heavy_batches_are_sent_in_lighter_parts() {
    let sizes: Arc<Mutex<Vec<usize>>> = Arc::default();
    let seen = Arc::clone(&sizes);
    let weigh = move |request: Request| {
        let length = request.headers()["content-length"].to_str().unwrap();
        seen.lock().unwrap().push(length.parse().unwrap());
        async { request }
    };
    let service = Service::start(router(&Crawldb::memory()).layer(map_request(weigh)));
    let items = items(10);
    let one = serde_json::to_vec(&items[..1]).unwrap().len();
    let options = RemoteOptions {
        max_body_bytes: 3 * one,
        ..quick()
    };
    let remote = RemoteStore::new(&service.url(), options).unwrap();
    let written = remote.put_items(&items).await.unwrap();
    assert!(
        written.iter().all(|written| matches!(written, Written::Done(_))),
        "{written:?}"
    );
    assert_eq!(written.len(), items.len());
    let sizes = sizes.lock().unwrap();
    assert_eq!(sizes.len(), 4, "two, three, two and three: {sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 3 * one), "{sizes:?}");
}

#[tokio::test]
async fn documents_are_sent_and_listed_in_parts() {
    let service = Service::of(&Crawldb::memory());
    let remote = service.client();
    let index = IndexName::default();
    let documents: Vec<_> = (0..MAX_BATCH as u32 + 1).map(document).collect();
    let written = remote.put_documents(&index, &documents).await.unwrap();
    assert_eq!(written.len(), documents.len());
    remote.refresh_documents().await.unwrap();
    let scanned = remote.scan_documents(&index, None, 2 * MAX_BATCH).await.unwrap();
    assert!(
        scanned
            .iter()
            .map(|document| &document.url)
            .eq(documents.iter().map(|document| &document.url))
    );
}

async fn check_refused(path: &str, body: Vec<u8>, status: u16, advice: &str) {
    let service = Service::of(&Crawldb::memory());
    let request = reqwest::Client::new()
        .post(format!("{}/api/v1/store/{path}", service.url()))
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let text = answer.text().await.unwrap();
    assert!(text.contains(advice), "{text}");
}

#[tokio::test]
async fn what_is_too_much_is_refused_with_the_limit() {
    let many = serde_json::to_vec(&vec!["id"; MAX_BATCH + 1]).unwrap();
    check_refused(
        "sources/docs/items/read",
        many,
        400,
        "more than 1000 in one request",
    )
    .await;
    let wide = br#"{"limit": 1001}"#.to_vec();
    check_refused(
        "sources/docs/items/scan",
        wide,
        400,
        "ask for at most 1000 at a time",
    )
    .await;
    let large = vec![b' '; (64 << 20) + 1];
    check_refused("items/write", large, 413, "more than 64 MiB").await;
}
