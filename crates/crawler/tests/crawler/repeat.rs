//! The second crawl of a source.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crawldb::{CrawlKind, StartError};
use crawler::CrawlError;

use crate::site::{Answer, Site};
use crate::world::{World, check, check_completed};

/// Answers 304 to who knows the page already.
fn tagged(tag: &'static str, body: &'static str) -> impl Fn(&crate::site::Asked<'_>) -> Answer {
    move |asked| match asked.headers.get("if-none-match") {
        Some(known) if known == tag => Answer::status(304),
        _ => Answer::html(body).with("etag", tag),
    }
}

#[tokio::test]
async fn what_did_not_change_is_not_sent_again_and_still_leads_on() {
    let changed = Arc::new(AtomicBool::new(false));
    let is_changed = Arc::clone(&changed);
    let server = Site::default()
        .on(
            "/",
            tagged(
                "\"1\"",
                "<a href=/tagged>x</a><a href=/plain>x</a><a href=/news>x</a>",
            ),
        )
        .on("/tagged", tagged("\"2\"", "<p>old words</p><a href=/deep>x</a>"))
        .html("/plain", "<p>always the same</p>")
        .links("/deep", "")
        .on("/news", move |_| {
            Answer::html(if is_changed.load(Ordering::SeqCst) {
                "<p>new</p>"
            } else {
                "<p>old</p>"
            })
        })
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    let first = world.item("/tagged").await;
    changed.store(true, Ordering::SeqCst);
    let crawl = world.crawl().await;
    check_completed(&crawl);
    check(
        &world.items().await,
        "/: unchanged indexed
        /deep: unchanged indexed
        /news: indexed
        /plain: unchanged indexed
        /tagged: unchanged indexed",
    );
    assert_eq!(
        (crawl.totals.unchanged, crawl.totals.changed, crawl.totals.new),
        (4, 1, 0)
    );
    let second = world.item("/tagged").await;
    assert_eq!(
        (&second.content, &second.extract),
        (&first.content, &first.extract)
    );
    assert!(second.version > first.version);
    let (_, records) = world.applied().await;
    assert_eq!(records, 5 + 1, "nobody hears of what did not change");
}

#[tokio::test]
async fn what_is_gone_or_withdrawn_is_announced_as_deleted() {
    let later = Arc::new(AtomicBool::new(false));
    let site = |after: Answer| {
        let later = Arc::clone(&later);
        move |_: &crate::site::Asked<'_>| {
            if later.load(Ordering::SeqCst) {
                after.clone()
            } else {
                Answer::html("<p>x</p>")
            }
        }
    };
    let server = Site::default()
        .links("/", "/gone /noindex /moved /broken")
        .on("/gone", site(Answer::status(410)))
        .on(
            "/noindex",
            site(Answer::html("<p>x</p>").with("x-robots-tag", "noindex")),
        )
        .on("/moved", site(Answer::status(301).with("location", "/")))
        .on("/broken", site(Answer::status(403)))
        .serve()
        .await;
    let world = World::new(&server, |_| ()).await;
    check_completed(&world.crawl().await);
    assert!(world.applied().await.0.values().all(|&change| change == "upsert"));
    later.store(true, Ordering::SeqCst);
    check_completed(&world.crawl().await);
    check(
        &world
            .applied()
            .await
            .0
            .into_iter()
            .map(|(path, change)| (path, change.to_owned()))
            .collect(),
        "/: upsert
        /broken: upsert
        /gone: delete
        /moved: delete
        /noindex: delete",
    );
}

#[tokio::test]
async fn one_crawl_of_a_source_at_a_time() {
    let server = Site::default().links("/", "/a").links("/a", "").serve().await;
    let world = World::new(&server, |site| site.delay_ms = 300).await;
    let crawler = world.crawler();
    let id = world.start(&crawler).await;
    match crawler.start(&world.source, CrawlKind::Full).await {
        Err(CrawlError::Start(StartError::Running(running))) => assert_eq!(running, id),
        other => panic!("{other:?}"),
    }
    assert!(crawler.cancel(&id));
    let crawl = world.ended(&crawler, &id).await;
    assert_eq!(crawl.status, crawldb::CrawlStatus::Cancelled);
    assert!(!crawler.cancel(&id));
    world.start(&crawler).await;
    crawler.stop().await;
}
