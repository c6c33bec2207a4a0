use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, HttpBody};
use axum::http::Request;
use registry::ScraperSettings;
use tower::ServiceExt;

use crate::place::Place;

const TABLE: &str = "CREATE TABLE data(x)";
const NUMBERS: &str = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n";

/// What comes next of a body: the bytes of a piece, or what came instead.
async fn piece(body: &mut Body) -> Result<Option<usize>, String> {
    let frame = std::future::poll_fn(|context: &mut Context<'_>| -> Poll<_> {
        Pin::new(&mut *body).poll_frame(context)
    });
    match frame.await {
        None => Ok(None),
        Some(Ok(frame)) => Ok(Some(frame.data_ref().map_or(0, axum::body::Bytes::len))),
        Some(Err(error)) => Err(error.to_string()),
    }
}

async fn body(place: &Place, sql: &str) -> (u16, Body) {
    let sql: String = url::form_urlencoded::byte_serialize(sql.as_bytes()).collect();
    let path = format!("/ann/forms/data.json?key={}&query={sql}", place.key);
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = place.router.clone().oneshot(request).await.unwrap();
    (response.status().as_u16(), response.into_body())
}

#[tokio::test]
async fn a_key_asks_so_much_and_no_more() {
    let place = Place::with(TABLE).await;
    let mut refused = None;
    for _ in 0..500 {
        let answer = place.query("json", "select 1").await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.body,
        "{\"error\":\"too many queries with this key; wait a little\"}"
    );
    assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1);
    // The same budget on our own paths; a little may have come back in the meantime.
    let mut own = place.get("/api/v1/scrapers/ann/forms/tables").await;
    for _ in 0..500 {
        if own.status != 200 {
            break;
        }
        own = place.get("/api/v1/scrapers/ann/forms/tables").await;
    }
    assert_eq!((own.status, own.header("retry-after")), (429, "1"));
}

#[tokio::test]
async fn who_signs_in_does_not_wait_for_strangers() {
    let settings = ScraperSettings {
        public: true,
        ..ScraperSettings::default()
    };
    let place = Place::with_settings(settings).await;
    place.import(TABLE).await;
    let session = place.sign_in("bob").await;
    let tables = "/api/v1/scrapers/ann/forms/tables";
    let mut status = 200;
    for _ in 0..500 {
        status = place.get_with(tables, &[]).await.status;
        if status != 200 {
            break;
        }
    }
    assert_eq!(status, 429);
    assert_eq!(place.get_with(tables, &[("cookie", &session)]).await.status, 200);
}

#[tokio::test]
async fn a_question_that_is_too_long_for_an_address_is_posted() {
    let place = Place::with(TABLE).await;
    let parameters = serde_json::json!({"x": "x".repeat(65 << 10)});
    let question = serde_json::json!({"sql": "select length(:x)", "parameters": parameters});
    let posted = place.post("/api/v1/scrapers/ann/forms/query", &question).await;
    assert_eq!(posted.json()["rows"][0][0], 65 << 10);
}

#[tokio::test]
async fn an_answer_begins_before_it_is_complete() {
    let place = Place::with(TABLE).await;
    // Without an end, so whatever comes was sent before.
    let begun = Instant::now();
    let (status, mut body) = body(&place, &format!("{NUMBERS}) SELECT x FROM n")).await;
    assert_eq!(status, 200);
    for _ in 0..10 {
        assert!(piece(&mut body).await.unwrap().unwrap() >= 64 << 10);
    }
    assert!(begun.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn who_goes_away_is_not_worked_for() {
    let place = Place::with(TABLE).await;
    // More than there are seats: each is free again once its client is gone.
    for _ in 0..12 {
        let (status, body) = body(&place, &format!("{NUMBERS}) SELECT x FROM n")).await;
        assert_eq!(status, 200);
        drop(body);
        let again = || async { self::body(&place, "SELECT 1").await.0 };
        while again().await != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn what_fails_on_its_way_breaks_off() {
    let place = Place::with(TABLE).await;
    let sql =
        format!("{NUMBERS} LIMIT 100000) SELECT x, abs(iif(x = 99999, -9223372036854775808, 0)) FROM n");
    let (status, mut body) = body(&place, &sql).await;
    assert_eq!(status, 200);
    let error = loop {
        match piece(&mut body).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the answer looks complete"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, "integer overflow");
}

#[tokio::test]
async fn what_fails_at_once_has_a_status() {
    let place = Place::with(TABLE).await;
    let (status, _) = body(&place, "SELECT abs(-9223372036854775808)").await;
    assert_eq!(status, 400);
}
