//! The end of a source.

use std::sync::Mutex;
use std::time::Duration;

use crawldb::testkit::Moment;
use crawldb::{CrawldbError, IndexName};
use ledger::{LedgerError, Removed};
use updates::{Change, topics};

use crate::stage::{Place, Stage, content, failure, item_id, live, noindex, source_id};

#[tokio::test]
async fn a_removed_source_takes_its_references_along_and_no_others() {
    let stage = Stage::new().await;
    let east = source_id("east");
    let pages = [
        (1, content("a")),
        (2, content("b")),
        (3, noindex()),
        (4, failure(true)),
    ];
    stage.crawl("east", &pages).await;
    stage.crawl("west", &[(1, content("w")), (5, content("w"))]).await;
    let heard = Mutex::new(Vec::new());
    let progress = |removed: &Removed| heard.lock().unwrap().push(*removed);
    let removed = stage
        .ledger
        .remove_source(&east, stage.now(), &progress)
        .await
        .unwrap();
    assert_eq!(
        removed,
        Removed {
            items: 4,
            references: 2
        }
    );
    assert_eq!(heard.into_inner().unwrap(), [removed]);

    stage.check_truth("after the removal").await;
    let index = stage.index().await;
    let alive: Vec<_> = index
        .iter()
        .filter(|document| document.is_alive())
        .map(|d| d.url.path())
        .collect();
    assert_eq!(alive, ["/1", "/5"]);
    let applied = stage.applied(&east).await;
    let deleted = applied
        .iter()
        .filter(|applied| matches!(applied.change, Change::Delete { .. }));
    let deleted: Vec<_> = deleted.map(|applied| applied.item.clone()).collect();
    assert_eq!(
        deleted,
        [item_id(1), item_id(2)],
        "packers are told of what they have"
    );
    assert_eq!(stage.crawldb.source(&east).await.unwrap(), None);
    assert_eq!(stage.items(&east).await, []);
    let topics = stage.log.topics().await.unwrap();
    let left: Vec<&str> = topics
        .iter()
        .map(|topic| topic.name.as_str())
        .filter(|name| name.starts_with("east"))
        .collect();
    assert_eq!(left, ["east.applied"]);
}

#[tokio::test]
async fn a_source_is_not_removed_under_a_crawl_or_under_a_writer() {
    let stage = Stage::new().await;
    let east = source_id("east");
    let crawl = stage.start_crawl("east").await;
    let refused = stage.ledger.remove_source(&east, stage.now(), &|_| {}).await;
    assert!(
        matches!(refused, Err(LedgerError::Crawldb(CrawldbError::Running(_)))),
        "{refused:?}"
    );
    stage.end_crawl(&crawl, crawldb::CrawlStatus::Cancelled).await;

    // A writer that does not answer: its items are written, nothing else.
    let (dead, _) = stage.faulty(Place::Documents, 1, Moment::Before);
    let source = stage.source("east").await;
    let late = [live(1, 3_000, content("late"))];
    dead.apply_live(&source, &late, stage.now(), 0.5)
        .await
        .unwrap_err();
    let refused = stage.ledger.remove_source(&east, stage.now(), &|_| {}).await;
    assert!(matches!(refused, Err(LedgerError::Busy(_))), "{refused:?}");
    assert!(stage.crawldb.source(&east).await.unwrap().is_some());

    stage.pass_time(Duration::from_secs(61));
    let removed = stage.ledger.remove_source(&east, stage.now(), &|_| {}).await;
    assert_eq!(removed.unwrap().references, 1);
    stage.check_truth("after the removal").await;
}

#[tokio::test]
async fn an_index_that_is_rebuilt_after_the_removal_has_nothing_of_the_source() {
    let stage = Stage::new().await;
    let east = source_id("east");
    stage.crawl("east", &[(1, content("a"))]).await;
    stage.crawl("west", &[(1, content("w"))]).await;
    stage
        .ledger
        .remove_source(&east, stage.now(), &|_| {})
        .await
        .unwrap();
    let live = stage.index().await;
    let next = IndexName::new("next").unwrap();
    stage.ledger.rebuild(&next, &|_| {}).await.unwrap();
    assert_eq!(stage.documents(&next).await, live);
    assert!(
        !stage
            .log
            .topics()
            .await
            .unwrap()
            .iter()
            .any(|topic| topic.name == topics::live(&east))
    );
}
