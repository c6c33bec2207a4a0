//! Whichever call to whichever store fails, before or after it took effect: after a recovery everything says what the
//! records say, and the same work once more ends as if nothing had failed (I4, I6).

use std::collections::BTreeMap;
use std::time::Duration;

use crawldb::testkit::Moment;
use crawldb::{Attempt, Crawl, CrawlStatus, Crawldb, CrawldbError, Decision, IndexName, ItemState, Ruling};
use ledger::{Ledger, LedgerError, Replay, ReplayFrom};
use model::Checksum;

use crate::stage::{Place, Stage, content, failure, gone, item_id, live, noindex, source_id};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Settle,
    Live,
    Rule,
    Remove,
    Replay,
    Rebuild,
    Purge,
}

#[tokio::test]
async fn settling_survives_every_crash() {
    every_fault(Work::Settle).await;
}

#[tokio::test]
async fn live_updates_survive_every_crash() {
    every_fault(Work::Live).await;
}

#[tokio::test]
async fn rulings_survive_every_crash() {
    every_fault(Work::Rule).await;
}

#[tokio::test]
async fn the_removal_of_a_source_survives_every_crash() {
    every_fault(Work::Remove).await;
}

#[tokio::test]
async fn a_replay_survives_every_crash() {
    every_fault(Work::Replay).await;
}

#[tokio::test]
async fn a_rebuild_survives_every_crash() {
    every_fault(Work::Rebuild).await;
}

#[tokio::test]
async fn a_purge_survives_every_crash() {
    every_fault(Work::Purge).await;
}

async fn every_fault(work: Work) {
    let expected = sound(work).await;
    for place in [Place::Store, Place::Documents, Place::Log] {
        for moment in [Moment::Before, Moment::After] {
            let mut fails_at = 1;
            while fault(work, place, fails_at, moment, &expected).await >= fails_at {
                fails_at += 1;
            }
            assert!(fails_at > 1, "{work:?} calls the {place:?} at least once");
        }
    }
}

/// What everything looks like in the end.
#[derive(Debug, PartialEq)]
struct End {
    items: BTreeMap<(String, String), (ItemState, Option<Checksum>)>,
    alive: Vec<String>,
}

async fn end(stage: &Stage) -> End {
    let mut items = BTreeMap::new();
    for name in ["east", "west"] {
        for item in stage.items(&source_id(name)).await {
            let key = (name.to_owned(), item.id.to_string());
            items.insert(key, (item.state, item.checksum));
        }
    }
    let index = stage.index().await;
    let alive = index.iter().filter(|document| document.is_alive());
    End {
        items,
        alive: alive.map(|document| document.url.to_string()).collect(),
    }
}

async fn sound(work: Work) -> End {
    sound_on(Stage::new().await, work).await
}

async fn sound_on(stage: Stage, work: Work) -> End {
    let prepared = Prepared::on(&stage, work).await;
    prepared.act(&stage, &stage.ledger).await.unwrap();
    stage.check_truth(&format!("{work:?} without a fault")).await;
    end(&stage).await
}

/// How often the place was called.
async fn fault(work: Work, place: Place, fails_at: u64, moment: Moment, expected: &End) -> u64 {
    let context = format!("{work:?}, call {fails_at} to {place:?} failed {moment:?} it took effect");
    let stage = Stage::new().await;
    let prepared = Prepared::on(&stage, work).await;
    let (faulty, calls) = stage.faulty(place, fails_at, moment);
    let first = prepared.act(&stage, &faulty).await;
    let calls = calls();
    assert_eq!(first.is_err(), calls >= fails_at, "{context}: {first:?}");
    stage.recover().await;
    stage.check_truth(&format!("{context}, after the recovery")).await;
    if first.is_err() {
        prepared.act_again(&stage, &context).await;
        stage.recover().await;
        stage
            .check_truth(&format!("{context}, after the second time"))
            .await;
    }
    assert_eq!(end(&stage).await, *expected, "{context}");
    calls
}

/// Two sources that share pages, and what is about to be done to the first.
struct Prepared {
    work: Work,
    crawl: Option<Crawl>,
    attempts: Vec<Attempt>,
}

impl Prepared {
    async fn on(stage: &Stage, work: Work) -> Self {
        let first: Vec<_> = (1..=6).map(|page| (page, content("old"))).collect();
        let crawl = stage.crawl("east", &first).await;
        stage
            .crawl("west", &[(1, content("west")), (3, content("west"))])
            .await;
        let mut prepared = Self {
            work,
            crawl: None,
            attempts: Vec::new(),
        };
        match work {
            Work::Settle => {
                let pages = [
                    (1, content("new")),
                    (2, content("old")),
                    (3, gone()),
                    (4, noindex()),
                    (5, failure(true)),
                    (6, failure(false)),
                    (7, content("new")),
                ];
                let crawl = stage.start_crawl("east").await;
                prepared.attempts = stage.attempts(&crawl, &pages).await;
                prepared.crawl = Some(crawl);
            }
            Work::Rule => {
                let pages = [(1, failure(false)), (2, failure(false)), (3, failure(false))];
                prepared.crawl = Some(stage.crawl("east", &pages).await);
            }
            Work::Purge | Work::Rebuild => {
                stage
                    .crawl("east", &[(1, gone()), (2, gone()), (3, content("new"))])
                    .await;
                stage.pass_time(31 * DAY);
            }
            Work::Live | Work::Remove | Work::Replay => prepared.crawl = Some(crawl),
        }
        prepared
    }

    async fn act(&self, stage: &Stage, ledger: &Ledger) -> Result<(), LedgerError> {
        let east = source_id("east");
        let now = stage.now();
        match self.work {
            Work::Settle => {
                let crawl = self.crawl.as_ref().unwrap();
                stage.settle(ledger, crawl, self.attempts.clone()).await
            }
            Work::Live => {
                let at = now.as_millis();
                let reads = [
                    live(1, at, content("live")),
                    live(2, at, gone()),
                    live(3, at, content("old")),
                    live(4, at, failure(false)),
                    live(8, at, content("live")),
                    live(9, at, gone()),
                    live(1, at + 1, content("newer")),
                ];
                let source = stage.source("east").await;
                ledger.apply_live(&source, &reads, now, 0.5).await.map(drop)
            }
            Work::Rule => {
                for (page, decision) in [
                    (1, Decision::Delete),
                    (2, Decision::Ignore),
                    (3, Decision::Requeue),
                ] {
                    ledger.rule(&east, &item_id(page), &ruling(decision), now).await?;
                }
                Ok(())
            }
            Work::Remove => ledger.remove_source(&east, now, &|_| {}).await.map(drop),
            Work::Replay => {
                let replay = Replay {
                    source: east,
                    from: ReplayFrom::Beginning,
                    into: Some(IndexName::new("next").unwrap()),
                };
                ledger.replay(&replay, &|_| {}).await.map(drop)
            }
            Work::Rebuild => {
                let next = IndexName::new("next").unwrap();
                ledger.rebuild(&next, &|_| {}).await.map(drop)
            }
            Work::Purge => {
                ledger.purge_items(&east, 30 * DAY, now, None).await?;
                ledger.purge_documents(30 * DAY, now, None).await.map(drop)
            }
        }
    }

    async fn act_again(&self, stage: &Stage, context: &str) {
        match self.work {
            Work::Rule => {
                for (page, decision) in [
                    (1, Decision::Delete),
                    (2, Decision::Ignore),
                    (3, Decision::Requeue),
                ] {
                    let (east, id, ruling) = (source_id("east"), item_id(page), ruling(decision));
                    let again = stage.ledger.rule(&east, &id, &ruling, stage.now()).await;
                    assert!(
                        matches!(again, Ok(_) | Err(LedgerError::Refused(_))),
                        "{context}: {again:?}"
                    );
                }
            }
            Work::Remove => {
                stage.pass_time(Duration::from_secs(61));
                let again = self.act(stage, &stage.ledger).await;
                let is_gone = matches!(again, Err(LedgerError::Crawldb(CrawldbError::NoSource(_))));
                assert!(again.is_ok() || is_gone, "{context}: {again:?}");
            }
            _ => {
                let again = self.act(stage, &stage.ledger).await;
                assert!(again.is_ok(), "{context}: {again:?}");
            }
        }
    }
}

fn ruling(decision: Decision) -> Ruling {
    Ruling {
        decision,
        reason: "so it is".into(),
        by: "a test".into(),
        at: model::Timestamp::from_millis(1),
    }
}

#[tokio::test]
async fn a_file_ends_as_memory_does() {
    for work in [
        Work::Settle,
        Work::Live,
        Work::Rule,
        Work::Remove,
        Work::Replay,
        Work::Rebuild,
        Work::Purge,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = Crawldb::open(&folder.path().join("crawldb.sqlite")).unwrap();
        let end = sound_on(Stage::with(file).await, work).await;
        assert_eq!(end, sound(work).await, "{work:?}");
    }
}

/// The work really does what the faults are about.
#[tokio::test]
async fn the_prepared_work_changes_something() {
    for work in [Work::Settle, Work::Live, Work::Rule, Work::Remove, Work::Purge] {
        let stage = Stage::new().await;
        let prepared = Prepared::on(&stage, work).await;
        let before = end(&stage).await;
        prepared.act(&stage, &stage.ledger).await.unwrap();
        assert_ne!(end(&stage).await, before, "{work:?}");
        if let Some(crawl) = prepared.crawl.filter(|_| work == Work::Settle) {
            stage.end_crawl(&crawl, CrawlStatus::Completed).await;
        }
    }
}
