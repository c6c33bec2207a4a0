//! Crawls that are stopped, or die, and go on.

use std::collections::BTreeMap;
use std::time::Duration;

use crawler::Takeover;
use updates::{LogOptions, UpdateLog};

use crate::site::{Answer, Server, Site};
use crate::world::{World, check_completed};

/// 120 pages, each of which links to some others; one is a redirect.
async fn web() -> Server {
    let site = Site::default().redirect("/7", "/8").otherwise(|path| {
        let page: u32 = path[1..].parse().unwrap_or(0);
        let links: String = (1..5)
            .map(|step| format!("<a href='/{}'>x</a>", (page * 3 + step) % 120))
            .collect();
        Answer::html(&format!("<p>page {page}</p>{links}"))
    });
    site.serve().await
}

async fn expected(server: &Server) -> BTreeMap<String, String> {
    let world = World::new(server, |_| ()).await;
    check_completed(&world.crawl().await);
    server.forget_requests();
    world.items().await
}

#[tokio::test]
async fn a_stopped_crawl_goes_on_as_if_nothing_had_been() {
    let server = web().await;
    let whole = expected(&server).await;
    assert_eq!(whole.len(), 121);
    let world = World::new(&server, |site| site.delay_ms = 8).await;
    let crawler = world.crawler();
    let id = world.start(&crawler).await;
    let mut progress = crawler.progress(&id).unwrap();
    progress.wait_for(|progress| progress.fetches > 10).await.unwrap();
    crawler.stop().await;
    assert!(world.items().await.values().all(|fate| fate != "inflight"));
    let crawler = world.crawler();
    assert_eq!(
        crawler.resume(Takeover::All).await.unwrap(),
        std::slice::from_ref(&id)
    );
    check_completed(&world.ended(&crawler, &id).await);
    crawler.stop().await;
    assert_eq!(world.items().await, whole);
    assert!(
        server.requests().values().all(|&count| count == 1),
        "{:?}",
        server.requests()
    );
}

/// The end of a runtime looks like a failed attempt to some requests, and leaves members of groups behind.
async fn patient_world(server: &Server) -> World {
    let mut world = World::new(server, |_| ()).await;
    world.log = UpdateLog::memory_with(LogOptions {
        session: Duration::from_millis(100),
        ..LogOptions::default()
    });
    world.change(|settings| settings.retry.max_retries = 100).await;
    world
}

/// Kills the crawler after `life`, again and again, until the crawl is over.
fn crash(server: &Server, world: &World, life: Duration) -> usize {
    let mut lives = 0;
    loop {
        lives += 1;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let ended = runtime.block_on(async {
            let crawler = world.crawler();
            let resumed = crawler.resume(Takeover::All).await.unwrap();
            let id = match resumed.into_iter().next() {
                Some(id) => id,
                None if lives == 1 => world.start(&crawler).await,
                None => return true,
            };
            let wait = world.ended(&crawler, &id);
            if lives > 40 {
                wait.await.ended_at.is_some()
            } else {
                tokio::time::timeout(life, wait).await.is_ok()
            }
        });
        runtime.shutdown_timeout(Duration::from_secs(5));
        if ended {
            let most = server.requests().into_values().max().unwrap();
            assert!(most <= lives, "a page was fetched {most} times in {lives} lives");
            return lives;
        }
    }
}

#[test]
fn a_crawl_survives_being_killed_anywhere() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(web());
    let whole = runtime.block_on(expected(&server));
    let mut lives = 0;
    for millis in [3, 17, 29, 41, 60, 90, 140] {
        let world = runtime.block_on(patient_world(&server));
        lives += crash(&server, &world, Duration::from_millis(millis));
        server.forget_requests();
        runtime.block_on(async {
            assert_eq!(world.items().await, whole, "killed every {millis} ms");
            let crawl = world
                .crawldb
                .crawls(Some(&world.source), 9)
                .await
                .unwrap()
                .remove(0);
            check_completed(&crawl);
            assert_eq!(crawl.totals, world.crawldb.totals(&crawl.id).await.unwrap());
            let (applied, _) = world.applied().await;
            let indexed = whole.values().filter(|fate| *fate == "indexed").count();
            assert_eq!(
                applied.values().filter(|&&change| change == "upsert").count(),
                indexed
            );
        });
    }
    assert!(lives > 10, "{lives} lives: nothing was killed");
}
