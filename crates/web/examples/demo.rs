//! Serves made-up content on a free port of this machine: `cargo run -p web --example demo`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a demonstration that cannot begin has nothing else to do"
)]

use std::time::Duration;

use fixture::{NOW, Parts, page, see, source};
use tokio::net::TcpListener;

#[path = "../tests/web/fixture.rs"]
mod fixture;

#[tokio::main]
async fn main() {
    let parts = Parts::with_content().await;
    let handbook = [page(
        "handbook/",
        "Handbook",
        &[("Forms", "Which form is for what, in plain words.")],
    )];
    parts.publish("handbook.example.gov", &handbook).await;
    let live = parts.crawldb.add_source(source("live")).await.unwrap();
    let crawl = parts.crawldb.start_crawl(&live.id, "demo", NOW).await.unwrap();
    see(&parts.crawldb, &crawl, 250).await;
    parts
        .crawldb
        .claim(&crawl, None, "demo", Duration::from_secs(3_600), 90, NOW)
        .await
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    eprintln!("http://{}/", listener.local_addr().unwrap());
    web::serve(listener, parts.router.clone(), parts.stop.clone()).await;
    parts.crawler.stop().await;
}
