//! Tombstones go when nothing older can meet them, and a slow reader still ends right.

use std::time::Duration;

use crawldb::IndexName;
use ledger::{Purged, Replay, ReplayFrom};
use updates::topics;

use crate::stage::{Stage, content, gone, source_id};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn purge(stage: &Stage) -> (u64, u64) {
    let east = source_id("east");
    let items = stage.ledger.purge_items(&east, 30 * DAY, stage.now(), None);
    let documents = stage.ledger.purge_documents(30 * DAY, stage.now(), None);
    (items.await.unwrap().removed, documents.await.unwrap().removed)
}

#[tokio::test]
async fn only_old_tombstones_go() {
    let stage = Stage::new().await;
    stage
        .crawl("east", &[(1, content("a")), (2, content("b")), (3, content("c"))])
        .await;
    stage.crawl("west", &[(1, content("w"))]).await;
    stage.crawl("east", &[(1, gone()), (2, gone())]).await;
    stage.pass_time(29 * DAY);
    stage.crawl("east", &[(3, gone())]).await;
    assert_eq!(purge(&stage).await, (0, 0));
    stage.pass_time(2 * DAY);
    assert_eq!(purge(&stage).await, (2, 2));
    assert_eq!(
        purge(&stage).await,
        (0, 0),
        "the younger one stays, the second time finds nothing"
    );
    let index = stage.index().await;
    let references: Vec<usize> = index.iter().map(|document| document.references.len()).collect();
    assert_eq!(
        references,
        [1, 1],
        "page 1 keeps the reference of west, page 3 its tombstone, page 2 is gone"
    );
    stage.check_truth("after a purge").await;
}

#[tokio::test]
async fn a_running_crawl_keeps_the_tombstones_that_are_younger_than_it() {
    let stage = Stage::new().await;
    stage.crawl("east", &[(1, content("a"))]).await;
    let crawl = stage.start_crawl("east").await;
    let attempts = stage.attempts(&crawl, &[(1, gone())]).await;
    stage.settle(&stage.ledger, &crawl, attempts).await.unwrap();
    stage.pass_time(60 * DAY);
    assert_eq!(purge(&stage).await, (0, 0));
    stage.end_crawl(&crawl, crawldb::CrawlStatus::Completed).await;
    assert_eq!(purge(&stage).await, (1, 1));
}

#[tokio::test]
async fn a_purge_goes_on_page_by_page() {
    let stage = Stage::new().await;
    let pages: Vec<_> = (0..1_500).map(|page| (page, content("a"))).collect();
    let crawl = stage.start_crawl("east").await;
    for pages in pages.chunks(500) {
        let attempts = stage.attempts(&crawl, pages).await;
        stage.settle(&stage.ledger, &crawl, attempts).await.unwrap();
    }
    stage.end_crawl(&crawl, crawldb::CrawlStatus::Completed).await;
    let source = source_id("east");
    stage
        .ledger
        .apply_live(
            &stage.source("east").await,
            &pages
                .iter()
                .map(|(page, _)| crate::stage::live(*page, 9_000, gone()))
                .collect::<Vec<_>>(),
            stage.now(),
            0.5,
        )
        .await
        .unwrap();
    stage.pass_time(31 * DAY);
    let mut removed = Vec::new();
    let mut after = None;
    loop {
        let page = stage
            .ledger
            .purge_items(&source, 30 * DAY, stage.now(), after.as_ref());
        let Purged { removed: some, next } = page.await.unwrap();
        removed.push(some);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(removed, [1_000, 500, 0]);
    assert_eq!(stage.items(&source).await, []);
}

/// A reader met the upsert of an item, then slept until its deletion was forgotten everywhere.
#[tokio::test]
async fn a_replay_that_missed_a_forgotten_tombstone_is_swept() {
    let stage = Stage::new().await;
    let east = source_id("east");
    let next = IndexName::new("next").unwrap();
    stage.crawl("east", &[(1, content("a")), (2, content("b"))]).await;
    let replay = |from| Replay {
        source: east.clone(),
        from,
        into: Some(next.clone()),
    };
    stage
        .ledger
        .replay(&replay(ReplayFrom::Beginning), &|_| {})
        .await
        .unwrap();
    let read = stage.ends(&topics::applied(&east)).await;

    stage.crawl("east", &[(1, gone())]).await;
    stage.pass_time(31 * DAY);
    purge(&stage).await;
    stage.pass_time(31 * DAY);
    stage.log.clean_up(stage.now()).await.unwrap();
    let left = stage.records(&topics::applied(&east)).await;
    assert_eq!(left.len(), 1, "compaction forgot page 1 altogether");

    let replayed = stage
        .ledger
        .replay(&replay(ReplayFrom::Offsets(read)), &|_| {})
        .await
        .unwrap();
    assert_eq!(replayed.swept, 1);
    let alive: Vec<bool> = stage
        .documents(&next)
        .await
        .iter()
        .map(crawldb::Document::is_alive)
        .collect();
    assert_eq!(alive, [false, true]);
}
