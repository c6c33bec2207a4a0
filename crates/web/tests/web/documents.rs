//! What is searched, by URL, and the index made again from the log.

use std::time::{Duration, Instant};

use axum::http::Method;
use crawldb::{IndexName, Scan};
use model::SourceId;
use serde_json::{Value, json};
use updates::topics;

use crate::client::{get, send_json};
use crate::fixture::Parts;

const PAGE: &str = "https://forms.example.gov/page/003?a=1&b=%22";

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[tokio::test]
async fn a_document_has_the_references_of_all_sources() {
    let parts = Parts::with_content().await;
    let path = format!("/api/v1/documents?url={}", encoded(PAGE));
    let document = get(&parts.router, &path).await.json();
    assert_eq!(
        (&document["alive"], &document["index"]),
        (&json!(true), &json!("main")),
        "{document}"
    );
    assert_eq!(document["references"], json!([document["primary"]]));
    assert_eq!(document["primary"]["source"], "forms");
    get(&parts.router, &format!("{path}&index=other"))
        .await
        .is_problem(404, "the index other has no document");
    get(&parts.router, "/api/v1/documents?url=x")
        .await
        .is_problem(400, "URL");
    get(&parts.router, &format!("{path}&index=A+B"))
        .await
        .is_problem(400, "use 1 to 64");
    get(
        &parts.router,
        &format!("/sources/forms/item?id={}", encoded(PAGE)),
    )
    .await
    .is_page(200, &["What is searched under this URL", "this one", "shown"]);
}

/// The replay that is at `place` in the answer of `path`, once it is over.
async fn ended(parts: &Parts, path: &str, place: &str) -> Value {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let answer = get(&parts.router, path).await.json();
        let replay = answer.pointer(place).unwrap().clone();
        if replay["state"] != "running" || Instant::now() > limit {
            return replay;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_source_is_replayed_into_another_index_that_takes_the_place_of_the_first() {
    let parts = Parts::with_content().await;
    let source = SourceId::new("forms").unwrap();
    topics::ensure_source(parts.ledger.log(), &source, 2)
        .await
        .unwrap();
    let path = "/api/v1/sources/forms/replays";
    get(&parts.router, path)
        .await
        .is_problem(404, "no replay of forms");
    let switch = json!({"current": "main", "next": "next"}).to_string();
    send_json(&parts.router, Method::POST, "/api/v1/indexes/switch", &switch)
        .await
        .is_problem(409, "is empty");
    let begin = json!({"from": "beginning", "into": "next"}).to_string();
    let begun = send_json(&parts.router, Method::POST, path, &begin).await;
    assert_eq!(
        (begun.status.as_u16(), &begun.json()["into"]),
        (202, &json!("next")),
        "{}",
        begun.body
    );
    let done = ended(&parts, path, "").await;
    assert_eq!((&done["state"], &done["error"]), (&json!("done"), &json!(null)));
    // The log has nothing of what the fixture wrote; the sweep at the end brings it.
    let items = parts.crawldb.items(&Scan::all(&source, 100)).await.unwrap();
    let indexed = items.iter().filter(|item| item.extract.is_some()).count() as u64;
    let next = IndexName::new("next").unwrap();
    assert_eq!(
        parts.crawldb.documents().count_documents(&next).await.unwrap(),
        indexed
    );
    let switched = send_json(&parts.router, Method::POST, "/api/v1/indexes/switch", &switch).await;
    assert_eq!(
        (switched.status.as_u16(), &switched.json()["in_force"]),
        (200, &json!(true))
    );
    let indexes = get(&parts.router, "/api/v1/indexes?index=main").await.json();
    assert_eq!(
        (&indexes["indexes"][0]["name"], &indexes["indexes"][1]["name"]),
        (&json!("next"), &json!("main"))
    );
    send_json(&parts.router, Method::POST, "/api/v1/indexes/switch", &switch)
        .await
        .is_problem(409, "main is not in force");
    get(&parts.router, "/sources/forms")
        .await
        .is_page(200, &["Last one: done", "into <code>next</code>"]);
}

#[tokio::test]
async fn an_index_is_made_of_all_sources_and_put_in_force() {
    let parts = Parts::with_content().await;
    let source = SourceId::new("forms").unwrap();
    topics::ensure_source(parts.ledger.log(), &source, 2)
        .await
        .unwrap();
    let indexes = "/api/v1/indexes";
    send_json(&parts.router, Method::POST, indexes, "{\"name\": \"A B\"}")
        .await
        .is_problem(400, "use 1 to 64");
    let begun = send_json(&parts.router, Method::POST, indexes, "{\"name\": \"next\"}").await;
    assert_eq!(
        (begun.status.as_u16(), &begun.json()["source"]),
        (202, &json!(null))
    );
    let done = ended(&parts, indexes, "/rebuild").await;
    assert_eq!(done["state"], "done", "{done}");
    let listed = get(&parts.router, indexes).await.json();
    let index = &listed["indexes"][0];
    assert_eq!(
        (&index["name"], &index["in_force"]),
        (&json!("next"), &json!(true))
    );
    assert!(index["documents"].as_u64() > Some(0), "{listed}");
}

#[tokio::test]
async fn a_replay_begins_where_it_can() {
    let parts = Parts::with_content().await;
    let begin = async |source: &str, from: Value| {
        let path = format!("/api/v1/sources/{source}/replays");
        send_json(
            &parts.router,
            Method::POST,
            &path,
            &json!({"from": from}).to_string(),
        )
        .await
    };
    begin("none", json!("beginning"))
        .await
        .is_problem(404, "none does not exist");
    begin("forms", json!({"start": "other@1"}))
        .await
        .is_problem(400, "no crawl of forms");
    begin("forms", json!({"time": "soon"}))
        .await
        .is_problem(400, "RFC 3339");
    begin("forms", json!("middle"))
        .await
        .is_problem(400, "unknown variant `middle`");
    // Its topics do not exist, so it fails, and says so.
    begin("forms", json!("beginning")).await;
    let failed = ended(&parts, "/api/v1/sources/forms/replays", "").await;
    assert_eq!(failed["state"], "failed", "{failed}");
}
