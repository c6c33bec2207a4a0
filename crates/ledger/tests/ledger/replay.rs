//! Where a replay begins, what it leaves alone, and the switch to a new index.

use std::time::Duration;

use crawldb::IndexName;
use ledger::{LedgerError, Replay, ReplayFrom, Replayed};
use model::{CrawlId, Timestamp};
use updates::topics;

use crate::stage::{Stage, content, gone, source_id};

fn replay(from: ReplayFrom) -> Replay {
    Replay {
        source: source_id("east"),
        from,
        into: Some(next()),
    }
}

fn next() -> IndexName {
    IndexName::new("next").unwrap()
}

async fn replayed(stage: &Stage, from: ReplayFrom) -> Replayed {
    stage.ledger.replay(&replay(from), &|_| {}).await.unwrap()
}

/// Two crawls of three pages, a day apart.
async fn two_crawls(stage: &Stage) -> (CrawlId, CrawlId) {
    let pages = |text| [(1, content(text)), (2, content(text)), (3, content(text))];
    let first = stage.crawl("east", &pages("first")).await;
    stage.pass_time(Duration::from_secs(86_400));
    let second = stage.crawl("east", &pages("second")).await;
    (first.id, second.id)
}

#[tokio::test]
async fn a_replay_begins_where_it_is_told() {
    let stage = Stage::new().await;
    let (first, second) = two_crawls(&stage).await;
    let ends = stage.ends(&topics::applied(&source_id("east"))).await;
    let cases = [
        (ReplayFrom::Beginning, 6),
        (ReplayFrom::Start(first), 6),
        (ReplayFrom::Start(second.clone()), 3),
        (ReplayFrom::Time(second.started_at()), 3),
        (ReplayFrom::Time(Timestamp::default()), 6),
        (ReplayFrom::Time(stage.now().after(Duration::from_secs(1))), 0),
        (ReplayFrom::Offsets(ends), 0),
    ];
    for (from, read) in cases {
        assert_eq!(replayed(&stage, from.clone()).await.read, read, "{from:?}");
    }
}

#[tokio::test]
async fn a_place_that_is_not_in_the_log_is_refused() {
    let stage = Stage::new().await;
    let (first, _) = two_crawls(&stage).await;
    let of_west = CrawlId::at(&source_id("west"), first.started_at());
    for from in [
        ReplayFrom::Offsets(vec![0]),
        ReplayFrom::Start(of_west),
        ReplayFrom::End(first),
    ] {
        let refused = stage.ledger.replay(&replay(from.clone()), &|_| {}).await;
        assert!(
            matches!(refused, Err(LedgerError::Refused(_))),
            "{from:?}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn only_the_newest_of_each_item_is_written() {
    let stage = Stage::new().await;
    two_crawls(&stage).await;
    let done = replayed(&stage, ReplayFrom::Beginning).await;
    assert_eq!((done.read, done.superseded, done.written), (6, 3, 3));
    let again = replayed(&stage, ReplayFrom::Beginning).await;
    assert_eq!((again.written, again.same), (0, 3));
}

#[tokio::test]
async fn what_the_log_lost_is_added_from_the_records() {
    let stage = Stage::new().await;
    two_crawls(&stage).await;
    stage.crawl("east", &[(2, gone())]).await;
    let ends = stage.ends(&topics::applied(&source_id("east"))).await;
    let done = replayed(&stage, ReplayFrom::Offsets(ends)).await;
    assert_eq!((done.read, done.added, done.swept), (0, 2, 0));
    let alive = stage.documents(&next()).await;
    assert_eq!(alive.iter().filter(|document| document.is_alive()).count(), 2);
}

#[tokio::test]
async fn a_rebuilt_index_takes_the_place_of_the_old_one() {
    let stage = Stage::new().await;
    two_crawls(&stage).await;
    stage
        .crawl("west", &[(1, content("west")), (4, content("west"))])
        .await;
    let live = stage.index().await;
    let done = stage.ledger.rebuild(&next(), &|_| {}).await.unwrap();
    assert_eq!(
        (done.swept, done.added),
        (0, 0),
        "the log says all that the records say"
    );
    assert_eq!(stage.crawldb.documents().index_in_force().await.unwrap(), next());
    assert_eq!(stage.index().await, live);

    stage.crawl("east", &[(1, gone())]).await;
    stage.check_truth("writes go to the new index").await;
    let refused = stage.ledger.drop_index(&next()).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
    stage.ledger.drop_index(&IndexName::default()).await.unwrap();
    assert_eq!(stage.documents(&IndexName::default()).await, []);
    let refused = stage.ledger.switch_index(&IndexName::default(), &next()).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
}
