//! Sources, the lock of a source, and many workers at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use crawldb::testkit::{sample_settings, sample_sighting};
use crawldb::{
    Attempt, CRAWL_LEASE, ConcurrencyMode, Crawl, CrawlKind, CrawlStatus, Crawldb, CrawldbError, Finished,
    Item, ItemState, MAX_CONCURRENT, MAX_QUEUED, Outcome, RetryPolicy, Settings, Sighting, SourceKind,
    StartError, Started, Work,
};
use model::{CrawlId, SourceId, Timestamp};

const HOST: &str = "a.example";
const LEASE: Duration = Duration::from_secs(60);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn docs() -> SourceId {
    SourceId::new("docs").unwrap()
}

async fn add(crawldb: &Crawldb, settings: Settings) {
    crawldb.add_source(docs(), settings, at(0)).await.unwrap();
}

async fn with_mode(concurrency: ConcurrencyMode) -> Crawldb {
    let crawldb = Crawldb::memory();
    let settings = Settings {
        concurrency,
        ..sample_settings("docs")
    };
    add(&crawldb, settings).await;
    crawldb
}

async fn exclusive() -> Crawldb {
    with_mode(ConcurrencyMode::Exclusive).await
}

async fn start(crawldb: &Crawldb, now: u64) -> Result<Started, StartError> {
    crawldb
        .start_crawl(&docs(), CrawlKind::Full, "test", at(now))
        .await
}

async fn begin(crawldb: &Crawldb, now: u64) -> Crawl {
    start(crawldb, now).await.unwrap().crawl().unwrap()
}

async fn end(crawldb: &Crawldb, crawl: &Crawl, status: CrawlStatus, now: u64) -> Crawl {
    crawldb.end_crawl(crawl, status, None, at(now)).await.unwrap()
}

async fn complete(crawldb: &Crawldb, crawl: &Crawl, now: u64) -> Crawl {
    end(crawldb, crawl, CrawlStatus::Completed, now).await
}

async fn active(crawldb: &Crawldb) -> Vec<CrawlId> {
    crawldb.source(&docs()).await.unwrap().unwrap().active_crawls
}

async fn history(crawldb: &Crawldb) -> Vec<(CrawlId, CrawlStatus)> {
    let crawls = crawldb.crawls(Some(&docs()), 20).await.unwrap();
    crawls.into_iter().map(|crawl| (crawl.id, crawl.status)).collect()
}

#[tokio::test]
async fn every_change_of_the_settings_is_kept_under_its_number() {
    let crawldb = exclusive().await;
    let crawl = begin(&crawldb, 5).await;
    let renamed = sample_settings("renamed");
    let changed = crawldb
        .update_source(&docs(), 1, renamed.clone(), at(9))
        .await
        .unwrap();
    assert_eq!((&changed.settings, changed.configuration), (&renamed, 2));
    assert_eq!(changed.active_crawls, [crawl.id], "what belongs to crawls stays");
    let late = crawldb.update_source(&docs(), 1, renamed, at(10)).await;
    assert!(matches!(late, Err(CrawldbError::Changed(_))), "{late:?}");
    let kept = crawldb.configurations(&docs()).await.unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|kept| (kept.number, kept.settings.name.as_str(), kept.at))
        .collect();
    assert_eq!(kept, [(1, "docs", at(0)), (2, "renamed", at(9))]);
    let again = crawldb.add_source(docs(), sample_settings("other"), at(11)).await;
    assert!(matches!(again, Err(CrawldbError::Exists(_))), "{again:?}");
    assert_eq!(crawldb.configurations(&docs()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_exclusive_source_refuses_a_second_crawl() {
    let crawldb = exclusive().await;
    let first = begin(&crawldb, 1_000).await;
    let refused = start(&crawldb, 2_000).await;
    assert!(matches!(refused, Err(StartError::Running(running)) if running == first.id));
    let reason = Some("no disk".to_owned());
    let ended = crawldb
        .end_crawl(&first, CrawlStatus::Failed, reason, at(3_000))
        .await
        .unwrap();
    assert_eq!(
        (ended.status, ended.ended_at, ended.reason.as_deref()),
        (CrawlStatus::Failed, Some(at(3_000)), Some("no disk"))
    );
    assert_eq!(
        complete(&crawldb, &first, 4_000).await,
        ended,
        "ending it again changes nothing"
    );

    let second = begin(&crawldb, 500).await;
    assert!(
        second.started_at > first.started_at,
        "also where the clock went back"
    );
    assert_eq!(
        history(&crawldb).await,
        [(second.id, CrawlStatus::Pending), (first.id, CrawlStatus::Failed)]
    );
}

#[tokio::test]
async fn what_cannot_be_crawled_says_so() {
    let crawldb = Crawldb::memory();
    assert!(matches!(start(&crawldb, 1).await, Err(StartError::NoSource(_))));
    let feed = Settings {
        kind: SourceKind::Feed,
        ..sample_settings("docs")
    };
    add(&crawldb, feed).await;
    assert!(matches!(start(&crawldb, 1).await, Err(StartError::Feed(_))));
}

#[tokio::test]
async fn crawls_that_wait_start_one_by_one_in_their_order() {
    let crawldb = with_mode(ConcurrencyMode::Queue).await;
    let first = begin(&crawldb, 1_000).await;
    let ask = |kind, now| {
        let crawldb = crawldb.clone();
        async move { crawldb.start_crawl(&docs(), kind, "test", at(now)).await }
    };
    assert_eq!(
        ask(CrawlKind::Incremental, 1_001).await.unwrap(),
        Started::Queued(1)
    );
    assert_eq!(ask(CrawlKind::Full, 1_002).await.unwrap(), Started::Queued(2));
    assert_eq!(
        crawldb.start_queued(&docs(), "test", at(1_003)).await.unwrap(),
        None
    );
    let mut running = complete(&crawldb, &first, 2_000).await;
    for (kind, now) in [(CrawlKind::Incremental, 3_000), (CrawlKind::Full, 4_000)] {
        let next = crawldb
            .start_queued(&docs(), "test", at(now))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (next.kind, next.started_at),
            (kind, at(now)),
            "its start is when it begins"
        );
        assert!(next.epoch > running.epoch);
        assert_eq!(active(&crawldb).await, std::slice::from_ref(&next.id));
        running = complete(&crawldb, &next, now + 500).await;
    }
    assert_eq!(
        crawldb.start_queued(&docs(), "test", at(5_000)).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn no_more_crawls_wait_than_may() {
    let crawldb = with_mode(ConcurrencyMode::Queue).await;
    begin(&crawldb, 1_000).await;
    for before in 1..=MAX_QUEUED {
        let asked = start(&crawldb, 1_000 + before as u64).await.unwrap();
        assert_eq!(asked, Started::Queued(before));
    }
    let refused = start(&crawldb, 5_000).await;
    assert!(matches!(refused, Err(StartError::Full(_))), "{refused:?}");
}

#[tokio::test]
async fn concurrent_crawls_run_beside_each_other_up_to_a_limit() {
    let crawldb = with_mode(ConcurrencyMode::Concurrent).await;
    let mut crawls = Vec::new();
    for _ in 0..MAX_CONCURRENT {
        crawls.push(begin(&crawldb, 1_000).await);
    }
    let starts: BTreeSet<_> = crawls.iter().map(|crawl| crawl.started_at).collect();
    assert_eq!(starts.len(), MAX_CONCURRENT, "each has a version of its own");
    let refused = start(&crawldb, 2_000).await;
    assert!(matches!(refused, Err(StartError::Full(_))), "{refused:?}");
    complete(&crawldb, &crawls[3], 3_000).await;
    let next = begin(&crawldb, 4_000).await;
    assert_eq!(active(&crawldb).await.last(), Some(&next.id));
    let seen = crawldb
        .seen(&crawls[0], &[sample_sighting(HOST, 1)], at(4_000))
        .await;
    assert!(seen.is_ok(), "the others go on");
}

/// How many of many simultaneous starts, on two handles, were answered how: started, queued, refused.
async fn race(handles: [Crawldb; 2], concurrency: ConcurrencyMode) -> [usize; 3] {
    let settings = Settings {
        concurrency,
        ..sample_settings("docs")
    };
    add(&handles[0], settings).await;
    let starts: Vec<_> = (0..6)
        .map(|n| {
            let crawldb = handles[n % 2].clone();
            tokio::spawn(async move { start(&crawldb, 1_000).await })
        })
        .collect();
    let mut answers = [0; 3];
    let mut started = BTreeSet::new();
    for start in starts {
        match start.await.unwrap() {
            Ok(Started::Now(crawl)) => {
                handles[1]
                    .set_status(&crawl, CrawlStatus::Processing)
                    .await
                    .expect("who started may work");
                started.insert(crawl.id);
            }
            Ok(Started::Queued(_)) => answers[1] += 1,
            Err(StartError::Running(_)) => answers[2] += 1,
            Err(error) => panic!("{error}"),
        }
    }
    answers[0] = started.len();
    assert_eq!(
        active(&handles[0]).await.into_iter().collect::<BTreeSet<_>>(),
        started
    );
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn starts_that_race_do_as_the_source_says() {
    for (mode, expected) in [
        (ConcurrencyMode::Exclusive, [1, 0, 5]),
        (ConcurrencyMode::Queue, [1, 5, 0]),
        (ConcurrencyMode::Concurrent, [6, 0, 0]),
    ] {
        let memory = Crawldb::memory();
        assert_eq!(
            race([memory.clone(), memory], mode).await,
            expected,
            "{mode:?} in memory"
        );
        let folder = tempfile::tempdir().unwrap();
        let open = || Crawldb::open(&folder.path().join("crawl.db")).unwrap();
        assert_eq!(race([open(), open()], mode).await, expected, "{mode:?} in a file");
    }
}

#[tokio::test]
async fn a_start_that_died_before_it_got_the_lock_is_closed_later() {
    let crawldb = exclusive().await;
    let orphaned = Crawl {
        status: CrawlStatus::Pending,
        alive_until: at(1_000).after(CRAWL_LEASE),
        ..crawldb::testkit::sample_crawl("docs", 1_000)
    };
    crawldb.store().put_crawl(&orphaned).await.unwrap();
    assert_eq!(
        crawldb.take_over(&orphaned.id, "new", at(1_001)).await.unwrap(),
        None
    );
    let next = begin(&crawldb, 1_000).await;
    assert!(next.started_at > orphaned.started_at);
    complete(&crawldb, &next, 2_000).await;
    assert_eq!(
        history(&crawldb).await[1].1,
        CrawlStatus::Pending,
        "it may be about to get the lock"
    );
    begin(&crawldb, 60_000).await;
    assert_eq!(history(&crawldb).await[2].1, CrawlStatus::Failed);
}

#[tokio::test]
async fn a_process_that_was_taken_over_is_fenced() {
    let crawldb = exclusive().await;
    let nobody = CrawlId::new("docs@1").unwrap();
    assert_eq!(crawldb.take_over(&nobody, "new", at(1)).await.unwrap(), None);
    let old = begin(&crawldb, 1_000).await;
    crawldb
        .seen(&old, &[sample_sighting(HOST, 1)], at(1_000))
        .await
        .unwrap();
    let held = crawldb
        .claim(&old, None, "old", LEASE, 10, at(1_000))
        .await
        .unwrap();
    let new = crawldb
        .take_over(&old.id, "new", at(2_000))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&new.id, new.service.as_str()), (&old.id, "new"));
    assert!(new.epoch > old.epoch);
    assert_eq!(new.alive_until, at(2_000).after(CRAWL_LEASE));

    let attempts: Vec<Attempt> = held.into_iter().map(gone).collect();
    let is_fenced = |error: CrawldbError| matches!(error, CrawldbError::Fenced(_));
    let retry = RetryPolicy::default();
    let finished = crawldb
        .finish(&old, attempts, at(2_000), &retry, &mut || 0.5)
        .await;
    assert!(finished.is_err_and(is_fenced));
    let claimed = crawldb.claim(&old, None, "old", LEASE, 1, at(2_000)).await;
    assert!(claimed.is_err_and(is_fenced));
    let moved = crawldb.set_status(&old, CrawlStatus::Draining).await;
    assert!(moved.is_err_and(is_fenced));
    let ended = crawldb
        .end_crawl(&old, CrawlStatus::Completed, None, at(2_000))
        .await;
    assert!(ended.is_err_and(is_fenced));
    assert_eq!(
        crawldb.release_leases(&docs(), "new", at(2_000)).await.unwrap(),
        1
    );
    let claimed = crawldb
        .claim(&new, None, "new", LEASE, 10, at(2_000))
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    complete(&crawldb, &new, 3_000).await;
    assert_eq!(
        crawldb.take_over(&new.id, "newer", at(4_000)).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn work_is_a_sign_of_life_of_who_runs_the_crawl_only() {
    let crawldb = exclusive().await;
    let old = begin(&crawldb, 1_000).await;
    let alive_until = async || crawldb.crawl(&old.id).await.unwrap().unwrap().alive_until;
    assert_eq!(alive_until().await, at(1_000).after(CRAWL_LEASE));
    let work = Work {
        fetches: 2,
        fetched_bytes: 30,
        processing_ms: 500,
        indexed: 1,
    };
    crawldb.add_work(&old, work, at(5_000)).await.unwrap();
    assert_eq!(alive_until().await, at(5_000).after(CRAWL_LEASE));
    let new = crawldb
        .take_over(&old.id, "new", at(50_000))
        .await
        .unwrap()
        .unwrap();
    crawldb.add_work(&old, work, at(60_000)).await.unwrap();
    assert_eq!(
        alive_until().await,
        new.alive_until,
        "the old one is no longer asked"
    );
    let ended = complete(&crawldb, &new, 61_000).await;
    assert_eq!((ended.fetches, ended.fetched_bytes, ended.indexed), (4, 60, 2));
    assert_eq!(ended.average_processing(), Some(Duration::from_millis(250)));
    assert!((ended.output_speed(at(99_000)) - 2.0 / 60.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_crawl_is_changed_by_who_holds_it_and_amended_by_anybody() {
    let crawldb = exclusive().await;
    let crawl = begin(&crawldb, 1_000).await;
    let cut = |crawl: &mut Crawl| crawl.enumeration.cut = Some("a limit".into());
    assert_eq!(
        crawldb
            .update_crawl(&crawl, cut)
            .await
            .unwrap()
            .enumeration
            .cut
            .as_deref(),
        Some("a limit")
    );
    complete(&crawldb, &crawl, 2_000).await;
    assert!(matches!(
        crawldb.update_crawl(&crawl, cut).await,
        Err(CrawldbError::Fenced(_))
    ));
    let amended = crawldb
        .amend_crawl(&crawl.id, |crawl| crawl.orphans.deferred = 3)
        .await
        .unwrap();
    assert_eq!(amended.orphans.deferred, 3);
}

#[tokio::test]
async fn a_crawl_that_completed_is_opened_again_for_its_orphans() {
    let crawldb = exclusive().await;
    let first = begin(&crawldb, 1_000).await;
    let reopen = async |crawl: &Crawl| {
        crawldb
            .reopen_for_orphans(&crawl.id, "janitor", at(9_000))
            .await
            .unwrap()
    };
    assert_eq!(reopen(&first).await, None, "it runs");
    end(&crawldb, &first, CrawlStatus::Blocked, 2_000).await;
    let again = reopen(&first).await.unwrap();
    assert_eq!(
        (again.status, again.service.as_str()),
        (CrawlStatus::Orphans, "janitor")
    );
    assert!(again.epoch > first.epoch);
    assert!(
        matches!(start(&crawldb, 3_000).await, Err(StartError::Running(_))),
        "it has the lock"
    );
    let ended = complete(&crawldb, &again, 10_000).await;
    assert_eq!(
        ended.ended_at,
        Some(at(2_000)),
        "the crawl took as long as it took"
    );

    let second = begin(&crawldb, 11_000).await;
    assert_eq!(reopen(&first).await, None, "a newer crawl has begun");
    end(&crawldb, &second, CrawlStatus::Cancelled, 12_000).await;
    assert_eq!(reopen(&second).await, None, "what was cancelled never deletes");
    assert_eq!(reopen(&first).await, None);
}

#[tokio::test]
async fn a_source_goes_when_its_deletion_has_begun() {
    let crawldb = with_mode(ConcurrencyMode::Queue).await;
    let crawl = begin(&crawldb, 1_000).await;
    start(&crawldb, 1_001).await.unwrap();
    let early = crawldb.begin_deletion(&docs(), at(2_000)).await;
    assert!(matches!(early, Err(CrawldbError::Running(running)) if running == crawl.id));
    complete(&crawldb, &crawl, 3_000).await;
    let early = crawldb.delete_source(&docs()).await;
    assert!(matches!(early, Err(CrawldbError::NotDeleting(_))), "{early:?}");
    let deleting = crawldb.begin_deletion(&docs(), at(4_000)).await.unwrap();
    assert_eq!(
        (deleting.deleting_since, deleting.queued.len()),
        (Some(at(4_000)), 0)
    );
    let again = crawldb.begin_deletion(&docs(), at(5_000)).await.unwrap();
    assert_eq!(again.deleting_since, Some(at(4_000)));
    assert!(matches!(
        start(&crawldb, 6_000).await,
        Err(StartError::Deleting(_))
    ));
    let queued = crawldb.start_queued(&docs(), "test", at(6_000)).await;
    assert!(matches!(queued, Err(StartError::Deleting(_))));
    assert_eq!(
        crawldb
            .reopen_for_orphans(&crawl.id, "test", at(6_000))
            .await
            .unwrap(),
        None
    );
    crawldb.delete_source(&docs()).await.unwrap();
    crawldb.delete_source(&docs()).await.unwrap();
    assert_eq!(crawldb.source(&docs()).await.unwrap(), None);
    assert_eq!(history(&crawldb).await, []);
    assert_eq!(crawldb.configurations(&docs()).await.unwrap(), []);
}

#[tokio::test]
async fn items_are_changed_by_a_decision_about_what_is_stored() {
    let crawldb = exclusive().await;
    let crawl = begin(&crawldb, 1_000).await;
    let sightings: Vec<Sighting> = (0..3).map(|number| sample_sighting(HOST, number)).collect();
    crawldb.seen(&crawl, &sightings[..2], at(1_000)).await.unwrap();
    let ids: Vec<_> = sightings
        .iter()
        .rev()
        .map(|sighting| sighting.id.clone())
        .collect();
    let escalate = |at: usize, stored: Option<&Item>| match stored {
        Some(item) => Finished::Escalated(Item {
            state: ItemState::Escalated,
            depth: at as u32,
            ..item.clone()
        }),
        None => Finished::Stale(ids[at].clone()),
    };
    let changed = crawldb.change_items(&docs(), &ids, escalate).await.unwrap();
    assert!(matches!(&changed[0], Finished::Stale(id) if *id == ids[0]));
    for (at, id) in ids.iter().enumerate().skip(1) {
        let stored = crawldb.item(&docs(), id).await.unwrap().unwrap();
        assert_eq!(
            changed[at],
            Finished::Escalated(stored.clone()),
            "as it is stored, revision and all"
        );
        assert_eq!(stored.depth, at as u32);
    }
    assert_eq!(crawldb.totals(&crawl.id).await.unwrap().escalated, 2);
}

fn gone(item: Item) -> Attempt {
    let reason = String::new();
    Attempt {
        item,
        outcome: Outcome::Gone { reason },
    }
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
        let attempts = claimed.into_iter().map(gone).collect();
        crawldb
            .finish(&crawl, attempts, at(2_000), &RetryPolicy::default(), &mut || 0.5)
            .await
            .unwrap();
    }
}

async fn workers_never_share_an_item(handles: [Crawldb; 2]) {
    add(&handles[0], sample_settings("docs")).await;
    let crawl = begin(&handles[0], 1_000).await;
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
