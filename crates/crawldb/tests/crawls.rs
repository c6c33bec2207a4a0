//! Sources, the lock of a source, and many workers at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use crawldb::testkit::{sample_sighting, sample_source};
use crawldb::{
    Attempt, Crawl, CrawlStatus, Crawldb, CrawldbError, Outcome, RetryPolicy, Sighting, StartError,
};
use model::{SourceId, Timestamp};

const HOST: &str = "a.example";
const LEASE: Duration = Duration::from_secs(60);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

async fn with_source() -> (Crawldb, SourceId) {
    let crawldb = Crawldb::memory();
    let source = crawldb.add_source(sample_source("docs")).await.unwrap();
    (crawldb, source.id)
}

#[tokio::test]
async fn a_source_is_added_once_and_changed_by_who_read_it_last() {
    let (crawldb, id) = with_source().await;
    assert!(matches!(
        crawldb.add_source(sample_source("docs")).await,
        Err(CrawldbError::Exists(_))
    ));
    let read = crawldb.source(&id).await.unwrap().unwrap();
    crawldb.start_crawl(&id, "test", at(5)).await.unwrap();
    let renamed = crawldb::Source {
        name: "renamed".into(),
        ..read.clone()
    };
    let changed = crawldb.update_source(renamed).await.unwrap();
    assert_eq!(
        (changed.name.as_str(), changed.configuration),
        ("renamed", read.configuration + 1)
    );
    assert!(changed.active_crawl.is_some(), "what belongs to crawls stays");
    assert!(matches!(
        crawldb.update_source(read).await,
        Err(CrawldbError::Changed(_))
    ));
}

#[tokio::test]
async fn one_crawl_of_a_source_runs_at_a_time() {
    let (crawldb, id) = with_source().await;
    let first = crawldb.start_crawl(&id, "test", at(1_000)).await.unwrap();
    let refused = crawldb.start_crawl(&id, "test", at(2_000)).await;
    assert!(matches!(refused, Err(StartError::Running(running)) if running == first.id));
    assert!(matches!(
        crawldb.delete_source(&id).await,
        Err(CrawldbError::Running(_))
    ));
    let ended = crawldb
        .end_crawl(&first.id, CrawlStatus::Failed, Some("no disk".into()), at(3_000))
        .await
        .unwrap();
    assert_eq!(
        (ended.status, ended.ended_at, ended.reason.as_deref()),
        (CrawlStatus::Failed, Some(at(3_000)), Some("no disk"))
    );
    assert_eq!(
        crawldb
            .end_crawl(&first.id, CrawlStatus::Completed, None, at(4_000))
            .await
            .unwrap()
            .status,
        CrawlStatus::Failed
    );

    let second = crawldb.start_crawl(&id, "test", at(500)).await.unwrap();
    assert!(
        second.started_at > first.started_at,
        "also where the clock went back"
    );
    let history: Vec<_> = crawldb
        .crawls(Some(&id), 10)
        .await
        .unwrap()
        .into_iter()
        .map(|crawl| crawl.id)
        .collect();
    assert_eq!(history, [second.id.clone(), first.id]);
    crawldb
        .end_crawl(&second.id, CrawlStatus::Completed, None, at(5_000))
        .await
        .unwrap();
    crawldb.delete_source(&id).await.unwrap();
    assert!(matches!(
        crawldb.start_crawl(&id, "test", at(6_000)).await,
        Err(StartError::NoSource(_))
    ));
}

#[tokio::test]
async fn of_many_starts_one_wins() {
    let (crawldb, id) = with_source().await;
    let starts = (0..8).map(|n| {
        let (crawldb, id) = (crawldb.clone(), id.clone());
        tokio::spawn(async move { crawldb.start_crawl(&id, "test", at(1_000 + n)).await.is_ok() })
    });
    let mut winners = 0;
    for start in starts.collect::<Vec<_>>() {
        winners += u32::from(start.await.unwrap());
    }
    assert_eq!(winners, 1);
}

#[tokio::test]
async fn a_process_that_was_taken_over_is_fenced() {
    let (crawldb, id) = with_source().await;
    assert_eq!(crawldb.take_over(&id, "new", at(1)).await.unwrap(), None);
    let old = crawldb.start_crawl(&id, "old", at(1_000)).await.unwrap();
    crawldb
        .seen(&old, &[sample_sighting(HOST, 1)], at(1_000))
        .await
        .unwrap();
    let held = crawldb
        .claim(&old, None, "old", LEASE, 10, at(1_000))
        .await
        .unwrap();
    let new = crawldb.take_over(&id, "new", at(2_000)).await.unwrap().unwrap();
    assert_eq!((&new.id, new.service.as_str()), (&old.id, "new"));
    assert!(new.epoch > old.epoch);

    let attempts = held.into_iter().map(|item| Attempt {
        item,
        outcome: Outcome::Gone {
            reason: String::new(),
        },
    });
    let retry = RetryPolicy::default();
    let finished = crawldb
        .finish(&old, attempts.collect(), at(2_000), &retry, &mut || 0.5)
        .await;
    assert!(matches!(finished, Err(CrawldbError::Fenced(_))));
    assert!(matches!(
        crawldb.claim(&old, None, "old", LEASE, 1, at(2_000)).await,
        Err(CrawldbError::Fenced(_))
    ));
    assert!(matches!(
        crawldb.set_status(&old, CrawlStatus::Draining).await,
        Err(CrawldbError::Fenced(_))
    ));
    assert_eq!(crawldb.release_leases(&id, "new", at(2_000)).await.unwrap(), 1);
    assert_eq!(
        crawldb
            .claim(&new, None, "new", LEASE, 10, at(2_000))
            .await
            .unwrap()
            .len(),
        1
    );
}

async fn claim_all(crawldb: Crawldb, crawl: Crawl, owner: String) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let claimed = crawldb
            .claim(&crawl, None, &owner, LEASE, 7, at(2_000))
            .await
            .unwrap();
        if claimed.is_empty() && crawldb.totals(&crawl.id).await.unwrap().open == 0 {
            return ids;
        }
        ids.extend(claimed.iter().map(|item| item.id.to_string()));
        let gone = |item| Attempt {
            item,
            outcome: Outcome::Gone {
                reason: String::new(),
            },
        };
        let attempts = claimed.into_iter().map(gone).collect();
        crawldb
            .finish(&crawl, attempts, at(2_000), &RetryPolicy::default(), &mut || 0.5)
            .await
            .unwrap();
    }
}

async fn workers_never_share_an_item(handles: [Crawldb; 2]) {
    let source = handles[0].add_source(sample_source("docs")).await.unwrap().id;
    let crawl = handles[0].start_crawl(&source, "test", at(1_000)).await.unwrap();
    let sightings: Vec<Sighting> = (0..200).map(|number| sample_sighting(HOST, number)).collect();
    handles[0].seen(&crawl, &sightings, at(1_000)).await.unwrap();
    let workers: Vec<_> = (0..6)
        .map(|n| {
            tokio::spawn(claim_all(
                handles[n % 2].clone(),
                crawl.clone(),
                format!("worker-{n}"),
            ))
        })
        .collect();
    let mut claimed = Vec::new();
    for worker in workers {
        claimed.extend(worker.await.unwrap());
    }
    let distinct: BTreeSet<&String> = claimed.iter().collect();
    assert_eq!((claimed.len(), distinct.len()), (200, 200));
    assert_eq!(handles[1].totals(&crawl.id).await.unwrap().deleted, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_never_share_an_item_in_memory() {
    let crawldb = Crawldb::memory();
    workers_never_share_an_item([crawldb.clone(), crawldb]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn workers_never_share_an_item_in_a_file_that_two_processes_have_open() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Crawldb::open(&folder.path().join("crawl.db")).unwrap();
    workers_never_share_an_item([open(), open()]).await;
}
