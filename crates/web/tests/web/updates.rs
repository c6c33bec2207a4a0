//! What sources tell themselves.

use axum::body::Body;
use axum::http::{Method, Request};
use model::SourceId;
use serde_json::{Value, json};
use updates::{LiveChange, LiveUpdate, Partition, topics};

use crate::client::{Answer, get, send, send_json};
use crate::fixture::{Parts, add};

const UPDATES: &str = "/api/v1/sources/forms/updates";
const PAGE: &str = "https://forms.example.gov/a";

/// Parts with the site `forms` and its topics.
async fn parts() -> (Parts, SourceId) {
    let parts = Parts::start().await;
    let source = add(&parts.crawldb, "forms").await.id;
    topics::ensure_source(parts.ledger.log(), &source, 4)
        .await
        .unwrap();
    (parts, source)
}

async fn tell(parts: &Parts, updates: &Value) -> Answer {
    send_json(&parts.router, Method::POST, UPDATES, &updates.to_string()).await
}

/// What the log has in the partition where the tests' items lie.
async fn told(parts: &Parts, answer: &Answer) -> Vec<LiveUpdate> {
    let number = answer.json()["updates"][0]["partition"].as_u64().unwrap();
    let partition = Partition {
        topic: "forms.live".into(),
        number: u32::try_from(number).unwrap(),
    };
    let records = parts.ledger.log().read(&partition, 0, 100).await.unwrap();
    records
        .iter()
        .map(|record| record.decode().unwrap().unwrap())
        .collect()
}

#[tokio::test]
async fn updates_are_taken_in_their_order_and_their_content_is_archived_before() {
    let (parts, _) = parts().await;
    let updates = json!([
        {"url": PAGE, "change": "upsert", "content": "<h1>A</h1>", "media_type": "text/html", "at": "2026-02-03T10:40:00Z"},
        {"url": "https://forms.example.gov/b", "change": "fetch"},
        {"url": PAGE, "change": "upsert", "content_base64": "AAH/"},
        {"url": PAGE, "id": PAGE, "change": "delete"},
    ]);
    let taken = tell(&parts, &updates).await;
    assert_eq!(taken.status.as_u16(), 202, "{}", taken.body);
    let offsets: Vec<u64> = taken.json()["updates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|update| update["offset"].as_u64().unwrap())
        .collect();
    assert_eq!(offsets, [0, 1, 2, 3]);
    let told = told(&parts, &taken).await;
    let changes: Vec<&LiveChange> = told.iter().map(|update| &update.change).collect();
    let [
        LiveChange::Upsert {
            content: html,
            media_type,
        },
        LiveChange::Fetch,
        LiveChange::Upsert { content: bytes, .. },
        LiveChange::Delete,
    ] = changes[..]
    else {
        panic!("{changes:?}");
    };
    assert_eq!(media_type.as_deref(), Some("text/html"));
    assert_eq!(parts.archive.get(html).await.unwrap(), b"<h1>A</h1>");
    assert_eq!(parts.archive.get(bytes).await.unwrap(), [0, 1, 255]);
    assert_eq!(
        told[0].at.map(model::Timestamp::as_millis),
        Some(1_770_115_200_000)
    );
}

#[tokio::test]
async fn one_wrong_update_refuses_all_and_is_named() {
    let (parts, _) = parts().await;
    let good = json!({"url": PAGE, "change": "fetch"});
    let refused = async |update: Value, says: &str| {
        let answer = tell(&parts, &json!([good, update])).await;
        answer.is_problem(400, says);
        assert!(answer.body.contains("update 1: "), "{}", answer.body);
    };
    refused(
        json!({"url": "https://other.gov/", "change": "fetch"}),
        "not inside the source",
    )
    .await;
    refused(json!({"url": "nonsense", "change": "fetch"}), "URL").await;
    refused(
        json!({"url": PAGE, "change": "upsert"}),
        "either content or content_base64",
    )
    .await;
    refused(
        json!({"url": PAGE, "change": "upsert", "content": "", "content_base64": ""}),
        "either",
    )
    .await;
    refused(
        json!({"url": PAGE, "change": "upsert", "content_base64": "%"}),
        "not Base64",
    )
    .await;
    refused(
        json!({"url": PAGE, "change": "delete", "content": "x"}),
        "only an upsert",
    )
    .await;
    refused(
        json!({"url": PAGE, "change": "delete", "at": "yesterday"}),
        "RFC 3339",
    )
    .await;
    refused(
        json!({"url": PAGE, "id": "a", "change": "delete"}),
        "id of an item is its URL",
    )
    .await;
    tell(&parts, &json!([])).await.is_problem(400, "1 to 1000");
    tell(&parts, &json!(vec![good.clone(); 1_001]))
        .await
        .is_problem(400, "1 to 1000");
    tell(&parts, &json!([{"url": PAGE, "change": "burn"}]))
        .await
        .is_problem(400, "unknown variant `burn`");
    let live = get(&parts.router, "/api/v1/sources/forms/live").await.json();
    assert_eq!(live["lag"], 0, "{live}");
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let (parts, _) = parts().await;
    let large = "x".repeat((8 << 20) + 1);
    tell(
        &parts,
        &json!([{"url": PAGE, "change": "upsert", "content": large}]),
    )
    .await
    .is_problem(413, "at most 8388608 bytes");
    let request = Request::post(UPDATES).body(Body::from(vec![b' '; (16 << 20) + 1]));
    send(&parts.router, request.unwrap())
        .await
        .is_problem(413, "larger than 16777216 bytes");
}

#[tokio::test]
async fn the_source_must_be_there_and_take_updates() {
    let (parts, source) = parts().await;
    let fetch = json!([{"url": PAGE, "change": "fetch"}]);
    let elsewhere = "/api/v1/sources/none/updates";
    send_json(&parts.router, Method::POST, elsewhere, &fetch.to_string())
        .await
        .is_problem(404, "none does not exist");
    let mut settings = parts.crawldb.source(&source).await.unwrap().unwrap().settings;
    settings.live.enabled = false;
    let now = crate::fixture::NOW;
    parts
        .crawldb
        .update_source(&source, 1, settings, now)
        .await
        .unwrap();
    tell(&parts, &fetch)
        .await
        .is_problem(409, "takes no live updates");
    parts.crawldb.begin_deletion(&source, now).await.unwrap();
    tell(&parts, &fetch).await.is_problem(409, "being deleted");
}

#[tokio::test]
async fn the_items_of_a_feed_have_ids_of_their_own_below_its_bases() {
    let parts = Parts::start().await;
    let feed = json!({"id": "news", "settings": {"place": {"kind": "feed"}, "site": {"start": ["https://news.gov/a"]}}});
    send_json(&parts.router, Method::POST, "/api/v1/sources", &feed.to_string()).await;
    let tell = async |url: &str| {
        let update = json!([{"url": url, "id": "4711", "change": "upsert", "content": "Hello"}]).to_string();
        send_json(
            &parts.router,
            Method::POST,
            "/api/v1/sources/news/updates",
            &update,
        )
        .await
    };
    tell("https://news.gov/ab").await.is_problem(400, "not inside");
    let taken = tell("https://news.gov/a/b").await;
    assert_eq!(
        (taken.status.as_u16(), &taken.json()["updates"][0]["id"]),
        (202, &json!("4711")),
        "{}",
        taken.body
    );
}

#[tokio::test]
async fn people_and_programs_see_how_far_updates_are_applied() {
    let (parts, source) = parts().await;
    let taken = tell(
        &parts,
        &json!([{"url": PAGE, "change": "fetch"}, {"url": PAGE, "change": "delete"}]),
    )
    .await;
    let partition = taken.json()["updates"][0]["partition"].clone();
    let live = get(&parts.router, "/api/v1/sources/forms/live").await.json();
    let lagging = &live["partitions"][partition.as_u64().unwrap() as usize];
    assert_eq!(
        (&live["lag"], &lagging["end"], &lagging["committed"]),
        (&json!(2), &json!(2), &json!(0)),
        "{live}"
    );
    assert!(live["oldest_waiting_at"].is_string() && live["topic"] == "forms.live");
    get(&parts.router, "/sources/forms")
        .await
        .is_page(200, &["2 updates</strong> waiting", "By partition"]);
    // Somebody applies them.
    let subscription = updates::Subscription::Topics(vec![topics::live(&source)]);
    let mut group = parts
        .ledger
        .log()
        .group(ledger::LIVE_GROUP, subscription)
        .await
        .unwrap();
    loop {
        let batch = group
            .poll(100, std::time::Duration::from_millis(100))
            .await
            .unwrap();
        group.commit_batch(&batch).await.unwrap();
        if !batch.records.is_empty() {
            break;
        }
    }
    let live = get(&parts.router, "/api/v1/sources/forms/live").await.json();
    assert_eq!((&live["lag"], &live["members"]), (&json!(0), &json!(1)));
    get(&parts.router, "/sources/forms")
        .await
        .is_page(200, &["All applied."]);
}
