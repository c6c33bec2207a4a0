//! What pages of other sites may read.

use axum::body::Body;
use axum::http::Request;
use registry::ScraperSettings;
use web::Access;

use crate::place::Place;

const TABLE: &str = "CREATE TABLE data(x)";

#[tokio::test]
async fn browsers_may_ask_whether_they_may_ask() {
    let place = Place::with(TABLE).await;
    for path in [
        "/ann/forms/data.json",
        "/api/v1/scrapers/ann/forms/tables",
        "/api/v1/scrapers/ann/forms/query",
        "/api/v1/scrapers/ann/forms/versions/1/data.sqlite",
    ] {
        let request = Request::options(path).header("origin", "https://elsewhere.example");
        let answer = place.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert_eq!(
            answer.header("access-control-allow-methods"),
            "GET, HEAD, OPTIONS"
        );
        assert!(
            answer
                .header("access-control-allow-headers")
                .contains("X-Api-Key")
        );
    }
}

#[tokio::test]
async fn a_key_lets_a_page_read() {
    let place = Place::with(TABLE).await;
    let answer = place.query("json", "select 1").await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let refused = place.query("json", "nonsense").await;
    assert_eq!(refused.header("access-control-allow-origin"), "*");
    let own = place.get("/api/v1/scrapers/ann/forms/query?sql=nonsense").await;
    assert_eq!(
        (own.status, own.header("access-control-allow-origin")),
        (400, "*")
    );
    assert!(
        own.header("access-control-expose-headers")
            .contains("Content-Range")
    );
    assert_eq!(own.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn without_a_key_a_page_reads_what_is_public_and_nothing_else() {
    let path = "/api/v1/scrapers/ann/forms/query?sql=SELECT+1";
    let open = Place::start(ScraperSettings::default(), Access::default()).await;
    open.import(TABLE).await;
    let here = open.get_with(path, &[]).await;
    assert_eq!(
        (here.status, here.header("access-control-allow-origin")),
        (200, "")
    );
    let settings = ScraperSettings {
        public: true,
        ..ScraperSettings::default()
    };
    let public = Place::with_settings(settings).await;
    public.import(TABLE).await;
    let there = public.get_with(path, &[]).await;
    assert_eq!(
        (there.status, there.header("access-control-allow-origin")),
        (200, "*")
    );
}
