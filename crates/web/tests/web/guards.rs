use axum::body::Body;
use axum::http::Request;

use crate::client::{get, get_with, send, submit};
use crate::fixture::Parts;

/// Everything that changes something.
const CHANGES: [(&str, &str); 19] = [
    ("POST", "/sources"),
    ("POST", "/sources/forms/crawl"),
    ("POST", "/sources/forms/delete"),
    ("POST", "/crawls/forms%401770115200000/cancel"),
    ("POST", "/api/v1/sources"),
    ("POST", "/api/v1/sources/forms/crawls"),
    ("PUT", "/api/v1/sources/forms"),
    ("DELETE", "/api/v1/sources/forms"),
    ("POST", "/sources/forms/settings"),
    ("POST", "/sources/forms/replay"),
    ("POST", "/crawls/forms%401770115200000/approve"),
    ("POST", "/decisions"),
    ("POST", "/api/v1/crawls/forms%401770115200000/approve"),
    ("POST", "/api/v1/sources/forms/updates"),
    ("POST", "/api/v1/sources/forms/rulings"),
    ("POST", "/api/v1/sources/forms/replays"),
    ("POST", "/api/v1/indexes"),
    ("POST", "/api/v1/indexes/switch"),
    ("POST", "/api/v1/store/items"),
];

#[tokio::test]
async fn pages_of_other_sites_change_nothing() {
    let parts = Parts::with_content().await;
    for (method, path) in CHANGES {
        for (header, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.test"),
            ("origin", "null"),
        ] {
            let request = Request::builder()
                .method(method)
                .uri(path)
                .header("host", "haul.test")
                .header(header, value);
            let refused = send(
                &parts.router,
                request.body(Body::from("url=https://evil.test/")).unwrap(),
            )
            .await;
            assert_eq!(refused.status.as_u16(), 403, "{method} {path} {header}: {value}");
            assert!(refused.body.contains("page of another site"));
        }
    }
    assert_eq!(parts.crawldb.sources().await.unwrap().len(), 1);
}

#[tokio::test]
async fn own_pages_and_programs_may_change_things() {
    let parts = Parts::start().await;
    assert_eq!(
        submit(&parts.router, "/sources", "url=https://a.gov/")
            .await
            .status
            .as_u16(),
        303
    );
    let own = Request::post("/sources")
        .header("host", "haul.test")
        .header("origin", "http://haul.test");
    let own = send(&parts.router, own.body(Body::from("url=https://b.gov/")).unwrap()).await;
    assert_eq!(own.status.as_u16(), 303);
    let program = Request::post("/sources")
        .body(Body::from("url=https://c.gov/"))
        .unwrap();
    assert_eq!(send(&parts.router, program).await.status.as_u16(), 303);
}

#[tokio::test]
async fn links_from_other_sites_may_be_followed() {
    let parts = Parts::with_content().await;
    get_with(&parts.router, "/?q=form", &[("sec-fetch-site", "cross-site")])
        .await
        .is_page(200, &["<ol"]);
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_strict() {
    let parts = Parts::with_content().await;
    for path in [
        "/",
        "/nowhere",
        "/api/v1/sources",
        "/api/v1/nothing",
        "/metrics",
        "/api/v1/packs/forms.example.gov/file",
    ] {
        let answer = get(&parts.router, path).await;
        assert!(
            answer
                .header("content-security-policy")
                .starts_with("default-src 'none'"),
            "{path}"
        );
        assert!(!answer.header("content-security-policy").contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let parts = Parts::start().await;
    let request = Request::post("/api/v1/sources")
        .body(Body::from(vec![b' '; (1 << 20) + 1]))
        .unwrap();
    send(&parts.router, request)
        .await
        .is_problem(413, "larger than 1048576 bytes");
}

#[tokio::test]
async fn text_is_compressed_for_those_who_can_read_it() {
    let parts = Parts::with_content().await;
    let gzip = [("accept-encoding", "gzip")];
    assert_eq!(
        get_with(&parts.router, "/?q=form", &gzip)
            .await
            .header("content-encoding"),
        "gzip"
    );
    assert_eq!(
        get(&parts.router, "/?q=form").await.header("content-encoding"),
        ""
    );
    let pack = get_with(&parts.router, "/api/v1/packs/forms.example.gov/file", &gzip).await;
    assert_eq!(pack.header("content-encoding"), "");
}

#[tokio::test]
async fn assets_are_kept_for_good_under_a_name_that_changes_with_them() {
    let parts = Parts::start().await;
    let page = get(&parts.router, "/").await.body;
    let (_, rest) = page.split_once("rel=\"stylesheet\" href=\"").unwrap();
    let (address, _) = rest.split_once('"').unwrap();
    let styles = get(&parts.router, address).await;
    assert_eq!(styles.header("content-type"), "text/css; charset=utf-8");
    assert!(styles.header("cache-control").contains("immutable"));
    assert!(!styles.body.contains("url(") && !styles.body.contains("@import"));
    get(&parts.router, "/assets/old/haul.css")
        .await
        .is_page(404, &["reload the page"]);
}

#[tokio::test]
async fn a_name_that_is_not_the_servers_is_refused() {
    let parts = Parts::with_content().await;
    for own in [
        "haul.test",
        "HAUL.test:8080",
        "localhost:8080",
        "127.0.0.1",
        "[::1]:8080",
    ] {
        assert_eq!(
            get_with(&parts.router, "/", &[("host", own)])
                .await
                .status
                .as_u16(),
            200,
            "{own}"
        );
    }
    get_with(&parts.router, "/", &[("host", "rebound.evil")])
        .await
        .is_page(421, &["does not go by that name"]);
    let api = get_with(&parts.router, "/api/v1/sources", &[("host", "rebound.evil:80")]).await;
    api.is_problem(421, "add the name to its configuration");
}
