//! Two who write at once: whoever tells of it last, the last record tells the truth.

use std::sync::Arc;
use std::time::Duration;

use crawldb::testkit::Moment;
use crawldb::transition::LiveWrite;
use crawldb::{Crawldb, IndexName};
use ledger::Ledger;
use updates::UpdateLog;

use crate::faulty::{Fault, FaultyDocuments, FaultyLog, Meanwhile};
use crate::stage::{Stage, content, gone, live, source_id};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A ledger of which `event` gets ahead when it first tells the log.
fn slow(stage: &Stage, event: impl Future<Output = ()> + Send + 'static) -> Ledger {
    let log = FaultyLog {
        inner: stage.log.clone(),
        fault: Fault::at(u64::MAX, Moment::Before),
        meanwhile: Meanwhile::this(event),
    };
    Ledger::new(stage.crawldb.clone(), UpdateLog::new(Arc::new(log)), "slow")
}

/// Another process applies an update.
async fn update(stage: &Stage, update: LiveWrite) -> impl Future<Output = ()> + Send + 'static {
    let (ledger, source) = (stage.ledger.clone(), stage.source("east").await);
    async move {
        let now = update.version.at();
        ledger.apply_live(&source, &[update], now, 0.5).await.unwrap();
    }
}

async fn apply_older(stage: &Stage, ledger: &Ledger) {
    let source = stage.source("east").await;
    let older = [live(1, 4_000, content("older"))];
    ledger
        .apply_live(&source, &older, stage.now(), 0.5)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_last_record_of_an_item_is_the_newest_whoever_was_slow() {
    let stage = Stage::new().await;
    let slow = slow(&stage, update(&stage, live(1, 5_000, gone())).await);
    apply_older(&stage, &slow).await;
    stage
        .check_truth("a slow writer told of the older content last")
        .await;
    let told = stage.applied(&source_id("east")).await;
    assert_eq!(told.len(), 3, "delete, late upsert, delete again: {told:?}");
}

#[tokio::test]
async fn what_is_written_during_a_switch_is_in_the_new_index() {
    let stage = Stage::new().await;
    let next = IndexName::new("next").unwrap();
    let (documents, to) = (Arc::clone(stage.crawldb.documents()), next.clone());
    let switch = async move {
        let switched = documents.swap_index(&IndexName::default(), &to).await;
        assert!(switched.unwrap());
    };
    apply_older(&stage, &slow(&stage, switch)).await;
    let in_force = stage.crawldb.documents().index_in_force().await.unwrap();
    assert_eq!(in_force, next);
    stage.check_truth("the index was switched under a writer").await;
}

#[tokio::test]
async fn a_rebuild_catches_up_with_what_was_written_before_its_switch() {
    let stage = Stage::new().await;
    stage.crawl("east", &[(1, content("old"))]).await;
    let documents = FaultyDocuments {
        inner: Arc::clone(stage.crawldb.documents()),
        fault: Fault::at(u64::MAX, Moment::Before),
        meanwhile: Meanwhile::this(update(&stage, live(1, 5_000, content("new"))).await),
    };
    let crawldb = Crawldb::new(Arc::clone(stage.crawldb.store()), Arc::new(documents));
    let operator = Ledger::new(crawldb, stage.log.clone(), "operator");
    let next = IndexName::new("next").unwrap();
    operator.rebuild(&next, &|_| {}).await.unwrap();
    let in_force = stage.crawldb.documents().index_in_force().await.unwrap();
    assert_eq!(in_force, next);
    stage.check_truth("after the rebuild").await;
}

#[tokio::test]
async fn an_item_that_comes_back_while_it_is_forgotten_is_remembered() {
    let stage = Stage::new().await;
    let east = source_id("east");
    stage.crawl("east", &[(1, content("old"))]).await;
    stage.crawl("east", &[(1, gone())]).await;
    stage.pass_time(31 * DAY);
    let now = stage.now();
    let slow = slow(
        &stage,
        update(&stage, live(1, now.as_millis(), content("back"))).await,
    );
    let purged = slow.purge_items(&east, 30 * DAY, now, None).await.unwrap();
    assert_eq!(purged.removed, 0);
    stage.log.clean_up(now.after(60 * DAY)).await.unwrap();
    stage.check_truth("compaction keeps what came back").await;
    assert_eq!(stage.applied(&east).await.len(), 1);
}
