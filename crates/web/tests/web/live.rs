use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use axum::response::Html;
use axum::routing::get as get_route;
use crawldb::{Crawl, CrawlStatus, Crawldb};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use crate::client::{get, send_json};
use crate::fixture::{NOW, Parts, add, see, start};

/// The events of a crawl, as they come.
struct Events {
    body: axum::body::BodyDataStream,
    buffer: String,
}

impl Events {
    async fn of(router: &Router, crawl: &str) -> Self {
        let request = Request::get(format!("/api/v1/crawls/{}/events", crawl.replace('@', "%40")));
        let request = request
            .header("accept-encoding", "gzip")
            .body(Body::empty())
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self {
            body: response.into_body().into_data_stream(),
            buffer: String::new(),
        }
    }

    /// The name and data of the next event; nothing at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        while !self.buffer.contains("\n\n") {
            let piece = self.body.next().await?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&piece).unwrap());
        }
        let (event, rest) = self.buffer.split_once("\n\n").unwrap();
        let field = |name: &str| {
            event
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
        };
        let named = (
            field("event:").to_owned(),
            serde_json::from_str(field("data:")).unwrap(),
        );
        self.buffer = rest.to_owned();
        Some(named)
    }
}

/// A crawl that another process runs.
async fn running(crawldb: &Crawldb) -> Crawl {
    let source = add(crawldb, "live").await;
    let crawl = start(crawldb, &source.id, "another process").await;
    see(crawldb, &crawl, 12).await;
    crawl
}

#[tokio::test]
async fn the_page_of_a_running_crawl_follows_it_with_and_without_scripts() {
    let parts = Parts::start().await;
    let crawl = running(&parts.crawldb).await;
    let page = get(
        &parts.router,
        &format!("/crawls/{}", crawl.id.as_str().replace('@', "%40")),
    )
    .await;
    page.is_page(
        200,
        &[
            "data-events=\"/api/v1/crawls/live%40",
            "<noscript><meta http-equiv=\"refresh\"",
            "<progress",
        ],
    );
    page.is_page(200, &["Cancel the crawl", "12</span> items done", "live.js"]);
}

#[tokio::test]
async fn a_crawl_of_another_process_is_followed_to_its_end() {
    let parts = Parts::start().await;
    let crawl = running(&parts.crawldb).await;
    let mut events = Events::of(&parts.router, crawl.id.as_str()).await;
    let (name, progress) = events.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &progress["totals"]["seen"]),
        ("progress", &12.into())
    );
    parts
        .crawldb
        .end_crawl(&crawl, CrawlStatus::Cancelled, None, NOW)
        .await
        .unwrap();
    let (name, progress) = events.next().await.unwrap();
    assert_eq!(
        (name.as_str(), &progress["status"]),
        ("progress", &"cancelled".into())
    );
    assert_eq!(events.next().await.unwrap().0, "end");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn the_events_of_a_finished_crawl_end_at_once() {
    let parts = Parts::with_content().await;
    let mut events = Events::of(&parts.router, "forms@1770115200000").await;
    assert_eq!(events.next().await.unwrap().1["status"], "completed");
    assert_eq!(events.next().await.unwrap().0, "end");
    get(&parts.router, "/api/v1/crawls/forms%401/events")
        .await
        .is_problem(404, "does not exist");
}

/// A site of three pages on a free port of this machine; gives its address.
async fn site() -> String {
    let page = |title: &str, body: &str| Html(format!("<title>{title}</title><h1>{title}</h1>{body}"));
    let home = page("Home", "<a href=/a>a</a> <a href=/b>b</a> <a href=/gone>gone</a>");
    let (a, b) = (page("A", "<p>apples and pears</p>"), page("B", "<p>berries</p>"));
    let site = Router::new()
        .route("/", get_route(async move || home))
        .route("/a", get_route(async move || a))
        .route("/b", get_route(async move || b));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, site).await });
    address
}

#[tokio::test]
async fn a_real_crawl_is_started_followed_and_ends() {
    let parts = Parts::start().await;
    let settings = json!({"start": [site().await], "allow_private_addresses": true, "delay_ms": 0});
    let source = json!({"id": "site", "settings": {"site": settings}}).to_string();
    send_json(&parts.router, Method::POST, "/api/v1/sources", &source).await;
    let started = send_json(&parts.router, Method::POST, "/api/v1/sources/site/crawls", "").await;
    assert_eq!(started.status.as_u16(), 202, "{}", started.body);
    let crawl = started.json()["id"].as_str().unwrap().to_owned();
    let mut events = Events::of(&parts.router, &crawl).await;
    let mut last = Value::Null;
    while let Some((name, data)) = events.next().await {
        if name == "end" {
            break;
        }
        last = data;
    }
    assert_eq!(
        (&last["status"], &last["totals"]["seen"]),
        (&json!("completed"), &json!(4)),
        "{last}"
    );
    get(&parts.router, "/sources/site/items?state=success")
        .await
        .is_page(200, &["/a", "/b"]);
    let again = send_json(&parts.router, Method::POST, "/api/v1/sources/none/crawls", "").await;
    again.is_problem(404, "source none does not exist");
    parts.crawler.stop().await;
}
