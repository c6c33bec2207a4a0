//! Serves made-up content on a free port of this machine: `cargo run -p web --example demo`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a demonstration that cannot begin has nothing else to do"
)]

use std::time::Duration;

use crawldb::Source;
use fixture::{NOW, Parts, add, missed, page, see, start};
use model::{ItemId, PageUrl};
use runlog::Stream;
use tokio::net::TcpListener;
use updates::{LiveChange, LiveUpdate, topics};

#[path = "../tests/web/fixture.rs"]
mod fixture;
#[path = "../tests/web/made_up.rs"]
mod made_up;
#[path = "../tests/parts/runner.rs"]
mod runner;

#[tokio::main]
async fn main() {
    let parts = Parts::with_content().await;
    let handbook = [page(
        "handbook/",
        "Handbook",
        &[("Forms", "Which form is for what, in plain words.")],
    )];
    parts.publish("handbook.example.gov", &handbook).await;
    missed(&parts.crawldb).await;
    let live = add(&parts.crawldb, "live").await;
    let crawl = start(&parts.crawldb, &live.id, "demo").await;
    see(&parts.crawldb, &crawl, 250).await;
    parts
        .crawldb
        .claim(&crawl, None, "demo", Duration::from_secs(3_600), 90, NOW)
        .await
        .unwrap();
    tell(&parts, &live).await;
    let running = made_up::make_up(&parts).await;
    let live = running.run();
    tokio::spawn(talk(running));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    eprintln!("http://{address}/, a run that goes on at http://{address}/runs/{live}");
    web::serve(listener, parts.router.clone(), parts.stop.clone()).await;
    parts.crawler.stop().await;
}

/// A run that goes on saying something.
async fn talk(running: made_up::Working) {
    for number in 1_u64.. {
        running.say(Stream::Stdout, &format!("page {number}: 20 applications"));
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// Updates that nobody applies.
async fn tell(parts: &Parts, source: &Source) {
    let log = parts.ledger.log();
    topics::ensure_source(log, &source.id, 4).await.unwrap();
    let updates = (0..3).map(|number| {
        let url = PageUrl::parse(&format!("https://forms.example.gov/told/{number}")).unwrap();
        LiveUpdate {
            item: ItemId::new(url.as_str()).unwrap(),
            url,
            at: None,
            change: LiveChange::Fetch,
        }
    });
    let updates: Vec<LiveUpdate> = updates.collect();
    parts.ledger.submit(source, &updates).await.unwrap();
}
