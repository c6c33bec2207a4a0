use axum::Router;
use axum::body::Body;
use axum::http::Request;
use crawldb::{CrawlStatus, Crawldb};
use futures::StreamExt;
use model::CrawlId;
use serde_json::Value;
use tower::ServiceExt;

use crate::client::get;
use crate::fixture::{NOW, Parts, see, source};

/// The events of a crawl, as they come.
struct Events {
    body: axum::body::BodyDataStream,
    buffer: String,
}

impl Events {
    async fn of(router: &Router, crawl: &str) -> Self {
        let request = Request::get(format!("/api/v1/crawls/{}/events", crawl.replace('@', "%40")));
        let request = request.header("accept-encoding", "gzip").body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { body: response.into_body().into_data_stream(), buffer: String::new() }
    }

    /// The name and data of the next event; nothing at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        while !self.buffer.contains("\n\n") {
            let piece = self.body.next().await?.unwrap();
            self.buffer.push_str(std::str::from_utf8(&piece).unwrap());
        }
        let (event, rest) = self.buffer.split_once("\n\n").unwrap();
        let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
        let named = (field("event:").to_owned(), serde_json::from_str(field("data:")).unwrap());
        self.buffer = rest.to_owned();
        Some(named)
    }
}

/// A crawl that another process runs.
async fn running(crawldb: &Crawldb) -> CrawlId {
    let source = crawldb.add_source(source("live")).await.unwrap();
    let crawl = crawldb.start_crawl(&source.id, "another process", NOW).await.unwrap();
    see(crawldb, &crawl, 12).await;
    crawl.id
}

#[tokio::test]
async fn the_page_of_a_running_crawl_follows_it_with_and_without_scripts() {
    let parts = Parts::start().await;
    let crawl = running(&parts.crawldb).await;
    let page = get(&parts.router, &format!("/crawls/{}", crawl.as_str().replace('@', "%40"))).await;
    page.is_page(200, &["data-events=\"/api/v1/crawls/live%40", "<noscript><meta http-equiv=\"refresh\"", "<progress"]);
    page.is_page(200, &["Cancel the crawl", "12</span> items done", "live.js"]);
}

#[tokio::test]
async fn a_crawl_of_another_process_is_followed_to_its_end() {
    let parts = Parts::start().await;
    let crawl = running(&parts.crawldb).await;
    let mut events = Events::of(&parts.router, crawl.as_str()).await;
    let (name, progress) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &progress["totals"]["seen"]), ("progress", &12.into()));
    parts.crawldb.end_crawl(&crawl, CrawlStatus::Cancelled, None, NOW).await.unwrap();
    let (name, progress) = events.next().await.unwrap();
    assert_eq!((name.as_str(), &progress["status"]), ("progress", &"cancelled".into()));
    assert_eq!(events.next().await.unwrap().0, "end");
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn the_events_of_a_finished_crawl_end_at_once() {
    let parts = Parts::with_content().await;
    let mut events = Events::of(&parts.router, "forms@1770115200000").await;
    assert_eq!(events.next().await.unwrap().1["status"], "completed");
    assert_eq!(events.next().await.unwrap().0, "end");
    get(&parts.router, "/api/v1/crawls/forms%401/events").await.is_problem(404, "does not exist");
}
