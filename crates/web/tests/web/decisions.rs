//! What people are asked, and what they decide.

use axum::http::Method;
use crawldb::ItemState;
use model::{ItemId, SourceId};
use serde_json::{Value, json};
use updates::topics;

use crate::client::{get, send_json, submit};
use crate::fixture::{Parts, missed};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Parts with escalated items in `forms` and candidates for deletion in `old`.
async fn parts() -> Parts {
    let parts = Parts::with_content().await;
    missed(&parts.crawldb).await;
    for source in ["forms", "old"] {
        let source = SourceId::new(source).unwrap();
        topics::ensure_source(parts.ledger.log(), &source, 2)
            .await
            .unwrap();
    }
    parts
}

async fn ids(parts: &Parts, path: &str) -> Vec<String> {
    let listed = get(&parts.router, path).await.json();
    let items = listed["items"].as_array().unwrap_or_else(|| panic!("{listed}"));
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

async fn rule(parts: &Parts, source: &str, items: &[String], decision: &str) -> Value {
    let body = json!({"items": items, "decision": decision, "reason": "because", "by": "Ada"}).to_string();
    let path = format!("/api/v1/sources/{source}/rulings");
    send_json(&parts.router, Method::POST, &path, &body).await.json()["items"].clone()
}

#[tokio::test]
async fn escalations_of_all_sources_are_listed_with_a_cursor() {
    let parts = parts().await;
    let all = ids(&parts, "/api/v1/escalations").await;
    assert_eq!(all.len(), 4);
    let mut walked = Vec::new();
    let mut path = "/api/v1/escalations?limit=3".to_owned();
    loop {
        walked.extend(ids(&parts, &path).await);
        let Some(next) = get(&parts.router, &path).await.json()["next"]
            .as_str()
            .map(encoded)
        else {
            break;
        };
        path = format!("/api/v1/escalations?limit=3&after={next}");
    }
    assert_eq!(walked, all);
    assert!(ids(&parts, "/api/v1/escalations?source=old").await.is_empty());
    assert!(ids(&parts, "/api/v1/escalations?state=ignored").await.is_empty());
    get(&parts.router, "/api/v1/escalations?state=lost")
        .await
        .is_problem(400, "one of escalated, ignored");
    get(&parts.router, "/api/v1/escalations?source=none")
        .await
        .is_problem(404, "does not exist");
    get(&parts.router, "/api/v1/escalations?after=x")
        .await
        .is_problem(400, "<source>/<item>");
}

#[tokio::test]
async fn each_item_of_a_ruling_is_judged_alone() {
    let parts = parts().await;
    let escalated = ids(&parts, "/api/v1/escalations").await;
    let mut asked = vec![escalated[0].clone(), "unknown".to_owned()];
    let ruled = rule(&parts, "forms", &asked, "requeue").await;
    assert_eq!(
        ruled[0],
        json!({"id": asked[0], "state": "pending", "error": null})
    );
    assert!(
        ruled[1]["error"].as_str().unwrap().contains("no item unknown"),
        "{ruled}"
    );
    asked.pop();
    let again = rule(&parts, "forms", &asked, "requeue").await;
    assert!(
        again[0]["error"].as_str().unwrap().contains("does not fit"),
        "{again}"
    );
    rule(&parts, "forms", &escalated[1..2], "ignore").await;
    rule(&parts, "forms", &escalated[2..3], "delete").await;
    assert_eq!(
        ids(&parts, "/api/v1/escalations?state=ignored").await,
        escalated[1..2]
    );
    let item = ItemId::new(escalated[2].as_str()).unwrap();
    let deleted = parts
        .crawldb
        .item(&SourceId::new("forms").unwrap(), &item)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(deleted.state, ItemState::Deleted);
    let item = get(
        &parts.router,
        &format!("/api/v1/sources/forms/item?id={}", encoded(item.as_str())),
    )
    .await
    .json();
    assert_eq!(
        (&item["ruling"]["decision"], &item["ruling"]["by"]),
        (&json!("delete"), &json!("Ada"))
    );
}

#[tokio::test]
async fn a_ruling_needs_a_reason_a_name_and_items() {
    let parts = parts().await;
    let refused = async |body: Value, says: &str| {
        send_json(
            &parts.router,
            Method::POST,
            "/api/v1/sources/forms/rulings",
            &body.to_string(),
        )
        .await
        .is_problem(400, says);
    };
    refused(
        json!({"items": ["a"], "decision": "keep", "reason": " ", "by": "Ada"}),
        "\"reason\" is missing",
    )
    .await;
    refused(
        json!({"items": ["a"], "decision": "keep", "reason": "so", "by": ""}),
        "\"by\" is missing",
    )
    .await;
    refused(
        json!({"items": [], "decision": "keep", "reason": "so", "by": "Ada"}),
        "1 to 1000",
    )
    .await;
    refused(
        json!({"items": ["a"], "decision": "burn", "reason": "so", "by": "Ada"}),
        "unknown variant",
    )
    .await;
}

#[tokio::test]
async fn candidates_and_blocked_crawls_wait_for_a_person() {
    let parts = parts().await;
    let orphans = get(&parts.router, "/api/v1/orphans").await.json();
    assert_eq!(orphans["items"].as_array().unwrap().len(), 5);
    assert_eq!(orphans["items"][0]["orphan"]["misses"], 1);
    let crawl = orphans["blocked"][0]["id"].as_str().unwrap();
    let kept = orphans["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        rule(&parts, "old", &[kept], "keep").await[0]["state"],
        "unchanged"
    );
    assert_eq!(ids(&parts, "/api/v1/orphans?source=old&limit=10").await.len(), 4);
    let approve = format!("/api/v1/crawls/{}/approve", encoded(crawl));
    let signed = json!({"by": "Ada", "reason": "the site moved"}).to_string();
    send_json(
        &parts.router,
        Method::POST,
        &approve,
        "{\"by\": \"Ada\", \"reason\": \"\"}",
    )
    .await
    .is_problem(400, "reason");
    let approved = send_json(&parts.router, Method::POST, &approve, &signed).await;
    assert_eq!(
        approved.json()["orphans"]["approval"]["by"],
        "Ada",
        "{}",
        approved.body
    );
    assert_eq!(
        get(&parts.router, "/api/v1/orphans").await.json()["blocked"],
        json!([])
    );
    let finished = "/api/v1/crawls/forms%401770115200000/approve";
    send_json(&parts.router, Method::POST, finished, &signed)
        .await
        .is_problem(409, "not blocked");
    send_json(
        &parts.router,
        Method::POST,
        "/api/v1/crawls/forms%401/approve",
        &signed,
    )
    .await
    .is_problem(404, "does not exist");
}

#[tokio::test]
async fn people_decide_on_a_page_that_counts_what_waits() {
    let parts = parts().await;
    let page = get(&parts.router, "/escalations").await;
    page.is_page(
        200,
        &[
            "the server answered 403 Forbidden",
            "4<span class=\"unseen\"> waiting",
            "Try again",
            "<option value=\"forms\"",
        ],
    );
    let item = ids(&parts, "/api/v1/escalations").await.remove(0);
    let name = encoded(&format!("forms/{item}"));
    let sign = "reason=so&by=Ada&back=%2Fescalations%3Fsource%3Dforms";
    let done = submit(
        &parts.router,
        "/decisions",
        &format!("item={name}&decision=ignore&{sign}"),
    )
    .await;
    assert_eq!(
        (done.status.as_u16(), done.header("location")),
        (303, "/escalations?source=forms")
    );
    get(&parts.router, "/escalations")
        .await
        .is_page(200, &["3<span class=\"unseen\"> waiting"]);
    get(&parts.router, "/escalations?state=ignored")
        .await
        .is_page(200, &["leave as it is: so (Ada)"]);
    submit(
        &parts.router,
        "/decisions",
        &format!("item={name}&decision=keep&{sign}"),
    )
    .await
    .is_page(200, &["Not everything was done", "does not fit"]);
    submit(&parts.router, "/decisions", &format!("decision=keep&{sign}"))
        .await
        .is_page(400, &["Tick at least one"]);
    submit(&parts.router, "/decisions", &format!("item={name}&{sign}"))
        .await
        .is_page(400, &["Choose what to decide"]);
    let elsewhere = format!("item={name}&decision=requeue&reason=so&by=Ada&back=%2F%2Fevil.test");
    let answered = submit(&parts.router, "/decisions", &elsewhere).await;
    assert_eq!(answered.header("location"), "/escalations");
}

#[tokio::test]
async fn all_that_is_shown_is_decided_at_once() {
    let parts = parts().await;
    let names = ids(&parts, "/api/v1/orphans").await;
    let shown: String = names
        .iter()
        .map(|id| format!("&shown={}", encoded(&format!("old/{id}"))))
        .collect();
    let page = get(&parts.router, "/orphans").await;
    page.is_page(
        200,
        &[
            "Blocked crawls",
            "5 of 5 items would be deleted",
            "missed by 1 crawl",
        ],
    );
    let fields = format!("all=yes&decision=keep&reason=so&by=Ada&back=/orphans{shown}");
    assert_eq!(
        submit(&parts.router, "/decisions", &fields)
            .await
            .header("location"),
        "/orphans"
    );
    get(&parts.router, "/orphans")
        .await
        .is_page(200, &["No item is missed"]);
}

#[tokio::test]
async fn a_blocked_crawl_is_approved_on_its_page() {
    let parts = parts().await;
    let crawl = get(&parts.router, "/api/v1/orphans").await.json()["blocked"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let place = format!("/crawls/{}", encoded(&crawl));
    get(&parts.router, &place).await.is_page(
        200,
        &[
            "Blocked: </strong>5 of 5",
            "5 items may be deleted",
            "Approve the deletions",
        ],
    );
    let approved = submit(&parts.router, &format!("{place}/approve"), "by=Ada&reason=moved").await;
    assert_eq!(approved.status.as_u16(), 303);
    get(&parts.router, &place)
        .await
        .is_page(200, &["Approved by Ada"]);
    submit(&parts.router, &format!("{place}/approve"), "by=Ada")
        .await
        .is_page(400, &["reason"]);
}
