use axum::Router;
use proptest::prelude::*;

use crate::client::{Answer, get, get_with};
use crate::fixture::{Parts, page};

#[tokio::test]
async fn results_show_title_place_snippet_and_facts() {
    let parts = Parts::with_content().await;
    let found = get(&parts.router, "/?q=old+passport").await;
    found.is_page(
        200,
        &[
            "1 page",
            "https://forms.example.gov/passport/renew",
            "<mark>passport</mark>",
            "3 Feb 2026",
            "English",
        ],
    );
    found.is_page(
        200,
        &[
            "forms.example.gov \u{203a} passport \u{203a} renew",
            "#what-you-need",
            "What you need",
        ],
    );
    get(&parts.router, "/?q=fees")
        .await
        .is_page(200, &["ds-82.pdf#page=2", "Page 2", "PDF"]);
}

#[tokio::test]
async fn many_results_have_pages() {
    let parts = Parts::with_content().await;
    get(&parts.router, "/?q=notice")
        .await
        .is_page(200, &["30 pages", "Page 1 of 3", "/?q=notice&amp;page=2"]);
    let last = get(&parts.router, "/?q=notice&page=3").await;
    last.is_page(200, &["Page 3 of 3", "rel=\"prev\""]);
    assert!(!last.body.contains("rel=\"next\""));
    get(&parts.router, "/?q=notice&page=0")
        .await
        .is_page(400, &["a number from 1"]);
}

#[tokio::test]
async fn a_host_narrows_the_search_and_an_unknown_one_is_explained() {
    let parts = Parts::with_content().await;
    parts
        .publish(
            "other.example.gov",
            &[page("x", "Other", &[("", "another passport")])],
        )
        .await;
    get(&parts.router, "/?q=passport&host=other.example.gov")
        .await
        .is_page(200, &["1 page", "selected"]);
    let unknown = get(&parts.router, "/?q=passport&host=nowhere.gov").await;
    unknown.is_page(404, &["No pack of nowhere.gov", "value=\"passport\""]);
    assert_eq!(
        (unknown.header("etag"), unknown.header("cache-control")),
        ("", "no-store")
    );
    get(&parts.router, "/?q=zzzz&host=other.example.gov")
        .await
        .is_page(200, &["Search every host", "/?q=zzzz"]);
}

#[tokio::test]
async fn hostile_pages_stay_text() {
    let parts = Parts::with_content().await;
    let found = get(&parts.router, "/?q=ampersands").await;
    found.is_page(
        200,
        &["&lt;script&gt;", "&lt;img src=x", "&amp; <mark>ampersands</mark>"],
    );
    assert!(!found.body.contains("<script>") && !found.body.contains("<img src=x"));
    let reflected = get(
        &parts.router,
        "/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&host=%22%3E%3Cb%3E",
    )
    .await;
    assert!(!reflected.body.contains("<script>alert") && !reflected.body.contains("\"><b>"));
    let scheme = get(&parts.router, "/?q=javascript:alert(1)&host=javascript:alert(1)").await;
    assert!(!scheme.body.contains("href=\"javascript:"));
}

#[tokio::test]
async fn the_api_gives_the_same_in_pieces() {
    let parts = Parts::with_content().await;
    let found = get(&parts.router, "/api/v1/search?q=old+passport&per_page=5").await;
    let body = found.json();
    assert_eq!(
        (&body["total"], &body["page"], &body["per_page"]),
        (&1.into(), &1.into(), &5.into())
    );
    let hit = &body["results"][0];
    assert_eq!(hit["url"], "https://forms.example.gov/passport/renew");
    assert_eq!(hit["title"], "Renew your passport");
    let pieces = hit["snippet"].as_array().unwrap();
    let marked = pieces.iter().find(|piece| piece["highlighted"] == true).unwrap();
    assert!(["old", "passport"].contains(&marked["text"].as_str().unwrap()));
    get(&parts.router, "/api/v1/search?q=x&per_page=101")
        .await
        .is_problem(400, "from 1 to 100");
    get(&parts.router, "/api/v1/search?q=x&host=nowhere.gov")
        .await
        .is_problem(404, "nowhere.gov");
}

#[tokio::test]
async fn an_answer_that_the_client_holds_is_not_sent_again_until_the_pack_changes() {
    let parts = Parts::with_content().await;
    for path in [
        "/?q=notice",
        "/",
        "/api/v1/search?q=notice",
        "/api/v2/search/i14y?query=notice",
    ] {
        let first = get(&parts.router, path).await;
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        let held = [("if-none-match", first.header("etag"))];
        let second = get_with(&parts.router, path, &held).await;
        assert_eq!(
            (second.status.as_u16(), second.body.as_str()),
            (304, ""),
            "{path}"
        );
        assert_eq!(second.header("etag"), first.header("etag"));
        let other = get_with(
            &parts.router,
            &format!("{path}{}", if path == "/" { "?q=x" } else { "s" }),
            &held,
        )
        .await;
        assert_eq!(other.status.as_u16(), 200);
    }
    let held = get(&parts.router, "/?q=notice").await;
    parts
        .publish("forms.example.gov", &[page("new", "New", &[("", "a notice")])])
        .await;
    let after = get_with(
        &parts.router,
        "/?q=notice",
        &[("if-none-match", held.header("etag"))],
    )
    .await;
    after.is_page(200, &["1 page"]);
}

async fn i14y(router: &Router, query: &str) -> serde_json::Value {
    let found = get(
        router,
        &format!("/api/v2/search/i14y?affiliate=test&access_key=k&{query}"),
    )
    .await;
    assert_eq!(found.status.as_u16(), 200, "{}", found.body);
    found.json()
}

#[tokio::test]
async fn search_gov_clients_get_the_shape_that_they_know() {
    let parts = Parts::with_content().await;
    let body = i14y(&parts.router, "query=old+passport").await;
    assert_eq!(body["query"], "old passport");
    assert_eq!(body["web"]["total"], 1);
    assert!(body["web"]["next_offset"].is_null() && body["web"]["spelling_correction"].is_null());
    let result = &body["web"]["results"][0];
    assert_eq!(result["title"], "Renew your \u{e000}passport\u{e001}");
    assert_eq!(result["publication_date"], "2026-02-03");
    assert!(
        result["snippet"]
            .as_str()
            .unwrap()
            .contains("\u{e000}passport\u{e001}")
    );
    assert_eq!(body["text_best_bets"], serde_json::json!([]));
    let plain = i14y(&parts.router, "query=old+passport&enable_highlighting=false").await;
    assert_eq!(plain["web"]["results"][0]["title"], "Renew your passport");
    get(&parts.router, "/api/v2/search/i14y?affiliate=x")
        .await
        .is_problem(400, "query");
    get(&parts.router, "/api/v2/search/i14y?query=x&limit=51")
        .await
        .is_problem(400, "from 1 to 50");
}

#[tokio::test]
async fn search_gov_offsets_cut_anywhere() {
    let parts = Parts::with_content().await;
    let urls = |body: &serde_json::Value| -> Vec<String> {
        let results = body["web"]["results"].as_array().unwrap();
        results.iter().map(|result| result["url"].to_string()).collect()
    };
    let all = urls(&i14y(&parts.router, "query=notice&limit=50").await);
    assert_eq!(all.len(), 30);
    for (offset, limit) in [(0, 7), (7, 7), (5, 7), (28, 7), (29, 1), (13, 20)] {
        let body = i14y(
            &parts.router,
            &format!("query=notice&limit={limit}&offset={offset}"),
        )
        .await;
        let end = (offset + limit).min(30);
        assert_eq!(urls(&body), all[offset..end], "{offset} {limit}");
        let next = (end < 30).then_some(end);
        assert_eq!(body["web"]["next_offset"].as_u64(), next.map(|next| next as u64));
    }
    assert!(urls(&i14y(&parts.router, "query=notice&offset=900").await).is_empty());
}

#[tokio::test]
async fn search_gov_site_limits_limit() {
    let parts = Parts::with_content().await;
    let total = async |query: &str| i14y(&parts.router, query).await["web"]["total"].as_u64().unwrap();
    assert_eq!(total("query=form&sitelimit=nowhere.gov").await, 0);
    assert_eq!(total("query=form&sitelimit=forms.example.gov/taxes").await, 1);
    assert_eq!(total("query=notice&sitelimit=forms.example.gov").await, 30);
}

/// Any bytes after the `?`, as far as they can be in a request line.
fn any_query() -> impl Strategy<Value = String> {
    let byte = any::<u8>().prop_map(|byte| format!("%{byte:02x}"));
    let piece = prop_oneof![
        byte,
        "[ -~&&[^#<>\"`{}|^\\\\]]{0,4}".prop_map(|text| text.replace(' ', "+"))
    ];
    let value = proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat());
    (
        prop_oneof!["q", "host", "page", "query", "sitelimit", "state", "id", "after"],
        value,
    )
        .prop_map(|(name, value)| format!("{name}={value}"))
}

fn explains(path: &str, answer: &Answer) {
    let status = answer.status.as_u16();
    assert!(matches!(status, 200 | 400 | 404), "{path}: {status}");
    assert!(!answer.body.is_empty());
}

#[test]
fn no_query_whatever_its_bytes_breaks_the_server() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let parts = runtime.block_on(Parts::with_content());
    let paths = [
        "/",
        "/api/v1/search",
        "/api/v2/search/i14y",
        "/sources/forms/items",
        "/sources/forms/item",
        "/packs",
    ];
    let config = ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(queries in proptest::collection::vec(any_query(), 1..4), at in 0..paths.len())| {
        let path = format!("{}?{}", paths[at], queries.join("&"));
        explains(&path, &runtime.block_on(get(&parts.router, &path)));
    });
}

#[tokio::test]
async fn bytes_that_are_no_text_and_long_queries_are_taken_or_refused_with_a_reason() {
    let parts = Parts::with_content().await;
    get(&parts.router, "/?q=%00%FF%FE%C0form")
        .await
        .is_page(200, &["<form"]);
    get(&parts.router, "/?q=%").await.is_page(200, &["<form"]);
    let long = "a".repeat(60_000);
    get(&parts.router, &format!("/?q={long}"))
        .await
        .is_page(400, &["longer than 16384 bytes"]);
    get(&parts.router, &format!("/api/v1/search?q={long}"))
        .await
        .is_problem(400, "longer than");
    let words = "word+".repeat(3_000);
    get(&parts.router, &format!("/?q={words}"))
        .await
        .is_page(200, &["only its beginning counted"]);
}
