use std::path::Path;

use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Request};
use axum::routing::post;
use model::Checksum;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::client::{get, get_with, send, send_json};
use crate::fixture::Parts;
use web::Access;

#[tokio::test]
async fn the_description_is_what_was_agreed() {
    let parts = Parts::start().await;
    let described = get(&parts.router, "/api/v1/openapi.json").await;
    assert_eq!(described.header("content-type"), "application/json");
    insta::assert_json_snapshot!("openapi", described.json());
}

/// Paths that are routed by hand in a folder of sources.
fn routed(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            // These are for people.
            if !path.ends_with("pages") && !path.ends_with("accounts") {
                routed(&path, found);
            }
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let routes = text.split(".route(\"").skip(1);
        found.extend(
            routes
                .filter_map(|rest| rest.split('"').next())
                .map(str::to_owned),
        );
    }
}

#[test]
fn all_that_is_for_programs_is_described() {
    let mut found = Vec::new();
    routed(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.sort_unstable();
    found.dedup();
    let undescribed = [
        "/api/v1/openapi.json",
        "/assets/{edition}/{name}",
        "/healthz",
        "/metrics",
        "/readyz",
    ];
    assert_eq!(found, undescribed);
}

#[tokio::test]
async fn items_are_listed_with_a_cursor() {
    let parts = Parts::with_content().await;
    let (mut path, mut seen) = ("/api/v1/sources/forms/items?limit=15".to_owned(), Vec::new());
    loop {
        let slice = get(&parts.router, &path).await.json();
        seen.extend(
            slice["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|item| item["id"].to_string()),
        );
        let Some(next) = slice["next"].as_str() else { break };
        let after: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        path = format!("/api/v1/sources/forms/items?limit=15&after={after}");
    }
    assert_eq!(seen.len(), 40);
    assert!(seen.is_sorted());
    let failed = get(&parts.router, "/api/v1/sources/forms/items?state=failure&limit=1")
        .await
        .json();
    let item = &failed["items"][0];
    assert_eq!(
        (&item["state"], &item["last_error"]["kind"]),
        (&json!("failure"), &json!("timeout"))
    );
    assert!(item["next_attempt_at"].is_string() && item["disposition"].is_null());
    let id: String = url::form_urlencoded::byte_serialize(item["id"].as_str().unwrap().as_bytes()).collect();
    let one = get(&parts.router, &format!("/api/v1/sources/forms/item?id={id}")).await;
    assert_eq!(one.json(), *item);
}

#[tokio::test]
async fn crawls_are_listed_and_shown_with_their_totals() {
    let parts = Parts::with_content().await;
    let crawls = get(&parts.router, "/api/v1/crawls?source=forms").await.json();
    let crawl = get(&parts.router, "/api/v1/crawls/forms%401770115200000")
        .await
        .json();
    assert_eq!(crawls["crawls"], json!([crawl]));
    assert_eq!(
        (&crawl["status"], &crawl["ended_at"]),
        (&json!("completed"), &json!("2026-02-03T10:43:20Z"))
    );
    assert_eq!(
        (&crawl["totals"]["seen"], &crawl["average_processing_ms"]),
        (&json!(40), &json!(250))
    );
    assert_eq!(
        (
            &crawl["kind"],
            &crawl["input_per_second"],
            &crawl["output_per_second"]
        ),
        (&json!("full"), &json!(0.18), &json!(0.12))
    );
    let scopes = get(&parts.router, "/api/v1/crawls/forms%401770115200000/scopes").await;
    assert_eq!(
        scopes.json()["scopes"],
        json!([{"scope": "forms.example.gov", "items": 40, "open": 8, "incomplete": null}])
    );
    let cancel = "/api/v1/crawls/forms%401770115200000/cancel";
    send_json(&parts.router, Method::POST, cancel, "")
        .await
        .is_problem(409, "over already");
    get(&parts.router, "/api/v1/crawls/forms%401")
        .await
        .is_problem(404, "does not exist");
    get(&parts.router, "/api/v1/crawls?limit=0")
        .await
        .is_problem(400, "from 1 to 1000");
}

#[tokio::test]
async fn a_pack_is_downloaded_whole_in_parts_or_not_again() {
    let parts = Parts::with_content().await;
    let listed = get(&parts.router, "/api/v1/packs").await.json();
    let pack = &listed["packs"][0];
    assert_eq!(
        (&pack["host"], &pack["pages"], &listed["next"]),
        (&json!("forms.example.gov"), &json!(34), &json!(null))
    );
    let (href, checksum) = (pack["href"].as_str().unwrap(), pack["checksum"].as_str().unwrap());
    let request = Request::get(href)
        .header("accept-encoding", "gzip")
        .body(Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(parts.router.clone(), request)
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/vnd.sqlite3");
    assert_eq!(
        response.headers()["content-disposition"],
        "attachment; filename=\"forms.example.gov.sqlite\""
    );
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 30).await.unwrap();
    assert_eq!(Checksum::of(&bytes).to_string(), checksum);
    assert_eq!(pack["size_bytes"], bytes.len());
    assert_eq!(
        get_with(&parts.router, href, &[("if-none-match", &tag)])
            .await
            .status
            .as_u16(),
        304
    );
    let range = [("range", "bytes=0-15"), ("if-range", tag.as_str())];
    let part = get_with(&parts.router, href, &range).await;
    assert_eq!(
        (part.status.as_u16(), part.body.as_str()),
        (206, "SQLite format 3\0")
    );
    let stale = get_with(
        &parts.router,
        href,
        &[("range", "bytes=0-15"), ("if-range", "\"old\"")],
    )
    .await;
    assert_eq!(stale.status.as_u16(), 200);
    get(&parts.router, "/api/v1/packs/nowhere.gov/file")
        .await
        .is_problem(404, "no pack of nowhere.gov");
    get(&parts.router, "/api/v1/packs/..%2F..%2Fetc%2Fpasswd/file")
        .await
        .is_problem(400, "host");
}

#[tokio::test]
async fn operators_learn_whether_it_lives_is_ready_and_what_it_counted() {
    let parts = Parts::with_content().await;
    assert_eq!(get(&parts.router, "/healthz").await.body, "ok\n");
    let ready = get(&parts.router, "/readyz").await;
    assert_eq!(
        ready.json(),
        json!({"ready": true, "crawldb": "ok", "archive": "ok", "search": "ok"})
    );
    get(&parts.router, "/sources/forms").await;
    get(&parts.router, "/a/path/that/is/made/up").await;
    let metrics = get(&parts.router, "/metrics").await;
    assert_eq!(
        metrics.header("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    for line in [
        "haul_http_requests_total{method=\"GET\",route=\"/sources/{source}\",status=\"200\"} 1",
        "haul_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "haul_http_request_seconds_count{route=\"/healthz\"} 1",
        "# EOF",
    ] {
        assert!(metrics.body.contains(line), "{line} is not in {}", metrics.body);
    }
    parts.stop.cancel();
    assert_eq!(get(&parts.router, "/readyz").await.status.as_u16(), 503);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_form_of_the_place() {
    let parts = Parts::start().await;
    get(&parts.router, "/api/v1/nothing")
        .await
        .is_problem(404, "openapi.json");
    get(&parts.router, "/nothing")
        .await
        .is_page(404, &["There is nothing at this address"]);
    let put = Request::put("/api/v1/sources").body(Body::empty()).unwrap();
    send(&parts.router, put)
        .await
        .is_problem(405, "PUT cannot be used");
    get(&parts.router, "/api/v1/sources/%FF")
        .await
        .is_problem(400, "UTF-8");
    get(&parts.router, "/sources/%3Cscript%3E")
        .await
        .is_page(400, &["&lt;script&gt;"]);
}

#[tokio::test]
async fn a_collection_lives_from_put_to_delete() {
    let parts = Parts::with_content().await;
    let collection = "/api/v1/packages/collection%2Fforms";
    let hosts = json!({"hosts": ["forms.example.gov"]}).to_string();
    let made = send_json(&parts.router, Method::PUT, collection, &hosts).await;
    assert_eq!(made.status.as_u16(), 200);
    assert_eq!(
        made.json(),
        json!({"name": "collection/forms", "dependencies": ["pack/forms.example.gov"], "dependents": []})
    );
    let listed = get(&parts.router, "/api/v1/packages?limit=1").await.json();
    assert_eq!(
        (&listed["packages"][0]["name"], &listed["total"], &listed["next"]),
        (&json!("collection/forms"), &json!(2), &json!("collection/forms"))
    );
    let rest = get(&parts.router, "/api/v1/packages?after=collection%2Fforms")
        .await
        .json();
    assert_eq!(rest["packages"][0]["dependents"], json!(["collection/forms"]));
    let pack = "/api/v1/packages/pack%2Fforms.example.gov";
    send_json(&parts.router, Method::DELETE, pack, "")
        .await
        .is_problem(409, "collection/forms");
    send_json(&parts.router, Method::PUT, pack, &hosts)
        .await
        .is_problem(400, "packs are made by crawls");
    for gone in [collection, pack] {
        let deleted = send_json(&parts.router, Method::DELETE, gone, "").await;
        assert_eq!(deleted.status.as_u16(), 204);
        get(&parts.router, gone).await.is_problem(404, "is not published");
    }
    assert_eq!(parts.archive.hosts().await.unwrap(), []);
}

#[tokio::test]
async fn the_store_is_served_with_limits_and_names_of_its_own() {
    let store = axum::Router::new().route(
        "/api/v1/store/size",
        post(async |body: Bytes| body.len().to_string()),
    );
    let store = store.layer(DefaultBodyLimit::max(4 << 20));
    let parts = Parts::with(Some(store), Access::default()).await;
    let large = Request::post("/api/v1/store/size").header("host", "crawldb.internal");
    let answer = send(&parts.router, large.body(Body::from(vec![0; 2 << 20])).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, "2097152"));
    let foreign = Request::post("/api/v1/store/size").header("sec-fetch-site", "cross-site");
    send(&parts.router, foreign.body(Body::empty()).unwrap())
        .await
        .is_problem(403, "page of another site");
    get(&parts.router, "/api/v1/sources").await.json();
}

#[tokio::test]
async fn a_process_without_pages_tells_operators_the_same() {
    let mut registry = Registry::default();
    registry.register("things", "Some", Counter::<u64>::default());
    let router = web::operations(registry);
    assert_eq!(get(&router, "/healthz").await.body, "ok\n");
    let metrics = get(&router, "/metrics").await;
    assert!(metrics.body.contains("things_total 0"), "{}", metrics.body);
    assert_eq!(get(&router, "/").await.status.as_u16(), 404);
}
