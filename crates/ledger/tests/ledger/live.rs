//! Live updates: submitted, versioned, applied, tried again.

use std::time::Duration;

use crawldb::{CrawlStatus, Finished, ItemState, LiveSettings, Settings, Source};
use ledger::{Ledger, LedgerError, MAX_AHEAD, MAX_UPDATES, RETRY_STRANDED};
use model::{CrawlId, Timestamp, Version};
use updates::{LiveChange, LiveUpdate, Receipt, ReceiptOutcome, Record, topics};

use crate::stage::{Stage, content, failure, gone, item_id, live, page_url};

fn update(page: u32, at: Option<u64>, change: LiveChange) -> LiveUpdate {
    LiveUpdate {
        item: item_id(page),
        url: page_url(page),
        at: at.map(Timestamp::from_millis),
        change,
    }
}

async fn with_live_settings(stage: &Stage, live: LiveSettings) -> Source {
    let source = stage.source("east").await;
    let settings = Settings {
        live,
        ..source.settings
    };
    stage
        .crawldb
        .update_source(&source.id, source.configuration, settings, stage.now())
        .await
        .unwrap()
}

async fn trusting(stage: &Stage) -> Source {
    let live = LiveSettings {
        enabled: true,
        trust_clock: true,
    };
    with_live_settings(stage, live).await
}

/// Submits one update and reads its record.
async fn told(stage: &Stage, source: &Source, update: &LiveUpdate) -> Record {
    let positions = stage
        .ledger
        .submit(source, std::slice::from_ref(update))
        .await
        .unwrap();
    let read = stage
        .log
        .read(&positions[0].partition, positions[0].offset, 1)
        .await
        .unwrap();
    read.into_iter().next().unwrap()
}

async fn version(ledger: &Ledger, source: &Source, record: &Record) -> Version {
    let clock = ledger.live_clock(source).await.unwrap();
    clock.version(record, &record.decode().unwrap().unwrap())
}

#[tokio::test]
async fn updates_lie_in_the_log_by_host_and_item() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    let told = told(&stage, &source, &update(5, None, LiveChange::Delete)).await;
    assert_eq!(
        (told.key.as_str(), told.scope.as_str()),
        (item_id(5).as_str(), "host-1.example")
    );
    assert_eq!(told.decode().unwrap(), Some(update(5, None, LiveChange::Delete)));
}

#[tokio::test]
async fn a_source_says_whether_it_takes_updates() {
    let stage = Stage::new().await;
    let one = [update(1, None, LiveChange::Fetch)];
    let off = LiveSettings {
        enabled: false,
        trust_clock: false,
    };
    let source = with_live_settings(&stage, off).await;
    let refused = stage.ledger.submit(&source, &one).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");

    let west = stage.source("west").await;
    let many = vec![one[0].clone(); MAX_UPDATES + 1];
    let refused = stage.ledger.submit(&west, &many).await;
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");

    let west = stage.crawldb.begin_deletion(&west.id, stage.now()).await.unwrap();
    let refused = stage.ledger.submit(&west, &one).await;
    assert!(matches!(refused, Err(LedgerError::Deleting(_))), "{refused:?}");
}

#[tokio::test]
async fn an_update_behind_the_mark_of_a_crawl_is_newer_than_it_whatever_the_clocks_say() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    let before = told(&stage, &source, &update(1, None, LiveChange::Fetch)).await;
    // The conductor's clock is an hour ahead of the log's.
    let late = stage.now().after(Duration::from_secs(3_600));
    let started = stage
        .crawldb
        .start_crawl(&source.id, crawldb::CrawlKind::Full, "a fast clock", late);
    let crawl = started.await.unwrap().crawl().unwrap();
    let marks = stage.ends(&topics::live(&source.id)).await;
    let noted = stage
        .crawldb
        .update_crawl(&crawl, |crawl| crawl.marks.live_start.clone_from(&marks));
    let crawl = noted.await.unwrap();
    let after = told(&stage, &source, &update(1, None, LiveChange::Fetch)).await;

    let of_crawl = crawldb::transition::version_of(&crawl);
    assert!(version(&stage.ledger, &source, &before).await < of_crawl);
    assert!(version(&stage.ledger, &source, &after).await > of_crawl);
    let again = told(&stage, &source, &update(1, None, LiveChange::Fetch)).await;
    assert!(
        version(&stage.ledger, &source, &again).await > version(&stage.ledger, &source, &after).await,
        "the order of the log holds"
    );
}

#[tokio::test]
async fn a_record_has_one_version_however_many_crawls_start_after_it() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    stage.crawl("east", &[(1, content("old"))]).await;
    let record = told(&stage, &source, &update(1, None, LiveChange::Fetch)).await;
    let first = version(&stage.ledger, &source, &record).await;
    for _ in 0..3 {
        stage.crawl("east", &[(1, content("new"))]).await;
        assert_eq!(version(&stage.ledger, &source, &record).await, first);
    }
}

#[tokio::test]
async fn a_trusted_clock_counts_as_far_as_it_may_be_ahead() {
    let stage = Stage::new().await;
    let source = trusting(&stage).await;
    let now = stage.now().as_millis();
    let ahead = MAX_AHEAD.as_millis() as u64;
    for (at, counts_as) in [
        (now - 500, now - 500),
        (now + 500, now + 500),
        (now + ahead + 1, now + ahead),
        (u64::MAX, now + ahead),
    ] {
        let record = told(&stage, &source, &update(1, Some(at), LiveChange::Delete)).await;
        let version = version(&stage.ledger, &source, &record).await;
        assert_eq!(version.at().as_millis(), counts_as);
    }
    let west = stage.source("west").await;
    let record = told(&stage, &west, &update(1, Some(now - 500), LiveChange::Delete)).await;
    assert_eq!(
        version(&stage.ledger, &west, &record).await.at(),
        stage.now(),
        "a clock that is not trusted does not count"
    );
}

#[tokio::test]
async fn an_old_event_of_a_trusted_clock_loses_to_the_crawl_that_began_after_it() {
    let stage = Stage::new().await;
    let source = trusting(&stage).await;
    let happened = stage.now().as_millis();
    let crawl = stage.start_crawl("east").await;
    let late = told(&stage, &source, &update(1, Some(happened), LiveChange::Delete)).await;
    assert!(
        version(&stage.ledger, &source, &late).await < crawldb::transition::version_of(&crawl),
        "what the crawl fetches is newer than the event"
    );
    let fetch = told(&stage, &source, &update(1, Some(happened), LiveChange::Fetch)).await;
    assert!(
        version(&stage.ledger, &source, &fetch).await > crawldb::transition::version_of(&crawl),
        "what is fetched now is newer than the crawl's start"
    );
}

#[tokio::test]
async fn every_update_gets_a_receipt() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    let reads = [
        live(1, 3_000, content("a")),
        live(1, 2_000, content("b")),
        live(2, 3_000, gone()),
        live(3, 3_000, failure(true)),
    ];
    let finished = stage
        .ledger
        .apply_live(&source, &reads, stage.now(), 0.5)
        .await
        .unwrap();
    assert!(matches!(
        finished[..],
        [
            Finished::Applied { .. },
            Finished::Stale(_),
            Finished::Deleted { .. },
            Finished::Retry(_)
        ]
    ));
    let mut outcomes = Vec::new();
    for record in stage.records(&topics::receipts(&source.id)).await {
        let receipt: Receipt = record.decode().unwrap().unwrap();
        assert_eq!(receipt.crawl, CrawlId::live(&source.id));
        outcomes.push((receipt.item, receipt.outcome));
    }
    outcomes.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        (item_id(1), ReceiptOutcome::Success),
        (item_id(1), ReceiptOutcome::Stale),
        (item_id(2), ReceiptOutcome::Success),
        (item_id(3), ReceiptOutcome::Failure("it is broken".into())),
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn nothing_is_written_for_a_source_that_is_being_deleted() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    stage
        .crawldb
        .begin_deletion(&source.id, stage.now())
        .await
        .unwrap();
    let reads = [live(1, 3_000, content("late"))];
    let refused = stage.ledger.apply_live(&source, &reads, stage.now(), 0.5).await;
    assert!(matches!(refused, Err(LedgerError::Deleting(_))), "{refused:?}");
    assert_eq!(stage.items(&source.id).await, []);
    assert_eq!(
        stage.crawldb.store().list_intents(&source.id).await.unwrap(),
        [],
        "a refusal leaves no intent"
    );
}

#[tokio::test]
async fn a_failed_fetch_is_asked_for_again_when_it_is_due_and_not_twice() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    let failed = [live(1, 1_000, failure(true))];
    stage
        .ledger
        .apply_live(&source, &failed, stage.now(), 1.0)
        .await
        .unwrap();
    assert_eq!(stage.item("east", 1).await.state, ItemState::Failure);
    assert_eq!(stage.ledger.stranded(&source, stage.now()).await.unwrap(), 0);
    stage.pass_time(Duration::from_secs(2));
    assert_eq!(stage.ledger.stranded(&source, stage.now()).await.unwrap(), 1);
    assert_eq!(stage.ledger.stranded(&source, stage.now()).await.unwrap(), 0);
    let asked = stage.records(&topics::live(&source.id)).await;
    assert_eq!(
        asked.last().unwrap().decode().unwrap(),
        Some(update(1, None, LiveChange::Fetch))
    );
    stage.pass_time(RETRY_STRANDED);
    assert_eq!(
        stage.ledger.stranded(&source, stage.now()).await.unwrap(),
        1,
        "a request that got lost is made again"
    );
}

#[tokio::test]
async fn items_that_a_cancelled_crawl_left_open_wait_for_the_next_crawl() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    let crawl = stage.start_crawl("east").await;
    stage.attempts(&crawl, &[(1, content("never-read"))]).await;
    stage.end_crawl(&crawl, CrawlStatus::Cancelled).await;
    stage.pass_time(Duration::from_secs(3_600));
    stage.ledger.expire_leases(&source.id, stage.now()).await.unwrap();
    assert_eq!(stage.ledger.stranded(&source, stage.now()).await.unwrap(), 0);
    stage.crawl("east", &[(1, content("read"))]).await;
    assert_eq!(stage.item("east", 1).await.state, ItemState::Success);
}

/// The sequence of a version holds 18 bits of an offset.
#[tokio::test]
async fn the_order_of_the_log_holds_across_a_round_of_the_sequence() {
    let stage = Stage::new().await;
    let source = stage.source("east").await;
    let update = update(1, None, LiveChange::Fetch);
    let record = told(&stage, &source, &update).await;
    stage.pass_time(Duration::from_secs(3_600));
    let crawl = stage.start_crawl("east").await;
    let mark = record.position.offset + 100;
    let noted = stage
        .crawldb
        .update_crawl(&crawl, |crawl| crawl.marks.live_start = vec![mark; 3]);
    noted.await.unwrap();

    let clock = stage.ledger.live_clock(&source).await.unwrap();
    let version = |offset| {
        let mut record = record.clone();
        record.position.offset = offset;
        clock.version(&record, &update)
    };
    let round = 1 << 18;
    let offsets = [mark - 1, mark, round - 1, round, round + 1, 3 * round];
    let versions: Vec<Version> = offsets.into_iter().map(version).collect();
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert!(versions[0] < crawldb::transition::version_of(&crawl));
    assert!(versions[1] > crawldb::transition::version_of(&crawl));
}
