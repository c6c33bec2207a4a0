use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::routing::get;
use crawldb::testkit::sample_source;
use crawldb::{Crawldb, Store, Written};
use remote::{RemoteOptions, RemoteStore, RouterOptions, Token};

use crate::service::{Service, quick};

const TOKEN: &str = "correct-horse-battery-staple";

fn guarded() -> Service {
    Service::start(guarded_router())
}

fn guarded_router() -> Router {
    let crawldb = Crawldb::memory();
    let options = RouterOptions {
        token: Some(Token::new(TOKEN).unwrap()),
    };
    let (store, documents) = (Arc::clone(crawldb.store()), Arc::clone(crawldb.documents()));
    remote::router(store, documents, options)
}

fn client(service: &Service, token: Option<&str>) -> RemoteStore {
    let token = token.map(|text| Token::new(text).unwrap());
    RemoteStore::new(&service.url(), RemoteOptions { token, ..quick() }).unwrap()
}

#[tokio::test]
async fn the_right_token_opens() {
    let service = guarded();
    assert_eq!(client(&service, Some(TOKEN)).list_sources().await.unwrap(), []);
}

#[tokio::test]
async fn a_wrong_token_or_none_is_refused_with_advice() {
    let service = guarded();
    for wrong in [None, Some("correct-horse-battery-stapler")] {
        let remote = client(&service, wrong);
        let error = remote.list_sources().await.unwrap_err();
        assert!(!error.retryable);
        let text = format!("{error} {error:?} {remote:?}");
        assert!(text.contains("configure the same one on both ends"), "{text}");
        assert!(!text.contains("horse"), "{text}");
    }
}

#[tokio::test]
async fn no_path_is_open_without_the_token() {
    let service = guarded();
    let client = reqwest::Client::new();
    let document = remote::openapi();
    let paths = document.paths.paths.keys().map(String::as_str);
    for path in paths.chain(["/api/v1/store/openapi.json"]) {
        let answer = client
            .get(format!("{}{path}", service.url()))
            .send()
            .await
            .unwrap();
        assert!(
            matches!(answer.status(), StatusCode::UNAUTHORIZED),
            "{path}: {}",
            answer.status()
        );
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    }
}

/// Neither its token nor its limits are those of the router around it.
#[tokio::test]
async fn it_merges_into_a_larger_service() {
    let around = Router::new()
        .route("/open", get(async || "open"))
        .merge(guarded_router().with_state(()))
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(DefaultBodyLimit::max(10));
    let service = Service::start(around);
    let status = async |path: &str| {
        reqwest::get(format!("{}{path}", service.url()))
            .await
            .unwrap()
            .status()
    };
    assert_eq!(status("/open").await, StatusCode::OK);
    assert_eq!(status("/elsewhere").await, StatusCode::NOT_FOUND);
    assert_eq!(status("/api/v1/store/sources").await, StatusCode::UNAUTHORIZED);
    let written = client(&service, Some(TOKEN))
        .put_source(&sample_source("docs"))
        .await;
    assert!(matches!(written.unwrap(), Written::Done(_)));
}

#[test]
fn options_do_not_show_the_token() {
    let token = Some(Token::new(TOKEN).unwrap());
    let remote = RemoteOptions {
        token: token.clone(),
        ..RemoteOptions::default()
    };
    let shown = format!("{remote:?} {:?}", RouterOptions { token });
    assert!(!shown.contains("horse"), "{shown}");
}
