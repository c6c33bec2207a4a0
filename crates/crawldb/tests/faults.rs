//! Whichever call to the store fails, before or after it took effect: the crawl goes on and ends the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crawldb::testkit::{FaultyStore, Moment, sample_settings, sample_sighting};
use crawldb::{
    Attempt, Crawl, CrawlKind, CrawlStatus, CrawlTotals, Crawldb, CrawldbError, Disposition, IndexName, Item,
    ItemError, ItemErrorKind, ItemState, Outcome, RetryPolicy, Scan, Sighting, StartError, Store,
};
use model::{ArchiveKey, Checksum, SourceId, Timestamp, Version};

const HOST: &str = "a.example";
const RETRY: RetryPolicy = RetryPolicy {
    max_retries: 2,
    initial_ms: 1_000,
    max_ms: 60_000,
    multiplier: 2.0,
};

/// What a crawl leaves behind: state and retries per item, and the totals.
type End = (BTreeMap<String, (ItemState, u32, bool)>, CrawlTotals);

#[tokio::test]
async fn a_crawl_survives_the_loss_of_any_request() {
    every_fault(Moment::Before).await;
}

#[tokio::test]
async fn a_crawl_survives_the_loss_of_any_answer() {
    every_fault(Moment::After).await;
}

async fn every_fault(moment: Moment) {
    let expected = crawl_with_fault(u64::MAX, moment).await.0;
    assert_eq!(expected.1.seen, 6);
    assert_eq!(
        (expected.1.escalated, expected.1.deleted, expected.1.open),
        (1, 1, 0)
    );
    for fails_at in 1.. {
        let (end, calls) = crawl_with_fault(fails_at, moment).await;
        assert_eq!(end, expected, "call {fails_at} failed {moment:?}");
        if calls < fails_at {
            return;
        }
    }
}

/// Crawls on a store that fails once, then goes on as a restarted service does.
async fn crawl_with_fault(fails_at: u64, moment: Moment) -> (End, u64) {
    let sound = Crawldb::memory();
    let source = SourceId::new("docs").unwrap();
    sound
        .add_source(source.clone(), sample_settings("docs"), at(0))
        .await
        .unwrap();
    let faulty = Arc::new(FaultyStore::new(Arc::clone(sound.store()), fails_at, moment));
    let store: Arc<dyn Store> = Arc::clone(&faulty) as _;
    let documents = Arc::new(faulty.with_documents(Arc::clone(sound.documents())));
    let mut now = 1_000;
    let crawl = match crawl(&Crawldb::new(store, documents), &source, "first", &mut now).await {
        Ok(crawl) => crawl,
        Err(_) => crawl(&sound, &source, "second", &mut now).await.unwrap(),
    };
    assert_eq!(
        sound.source(&source).await.unwrap().unwrap().active_crawls,
        [],
        "the lock is free"
    );
    (end_of(&sound, &crawl).await, faulty.calls())
}

async fn crawl(
    crawldb: &Crawldb,
    source: &SourceId,
    service: &str,
    now: &mut u64,
) -> Result<Crawl, StartError> {
    if let Some(done) = crawldb.crawls(Some(source), 1).await?.pop()
        && done.status == CrawlStatus::Completed
    {
        return finish_crawl(crawldb, &done, *now).await;
    }
    let crawl = begin(crawldb, source, service, *now).await?;
    crawldb.release_leases(source, service, at(*now)).await?;
    crawldb.seen(&crawl, &[page(0)], at(*now)).await?;
    while let Some(due) = crawldb.next_due(&crawl, None).await? {
        *now = (*now).max(due.as_millis());
        process_due(crawldb, &crawl, service, *now).await?;
    }
    finish_crawl(crawldb, &crawl, *now).await
}

/// Documents follow items, so whoever looks at all items again repairs what was lost.
async fn index(crawldb: &Crawldb, source: &SourceId) -> Result<(), CrawldbError> {
    crawldb.store().refresh().await?;
    let items = crawldb.items(&Scan::all(source, 100)).await?;
    crawldb.project(&items).await
}

/// The crawl that runs, taken over, or a new one.
async fn begin(crawldb: &Crawldb, source: &SourceId, service: &str, now: u64) -> Result<Crawl, StartError> {
    let stored = crawldb.source(source).await?.unwrap();
    if let Some(running) = crawldb.running(&stored).await?.pop()
        && let Some(crawl) = crawldb.take_over(&running, service, at(now)).await?
    {
        return Ok(crawl);
    }
    let started = crawldb
        .start_crawl(source, CrawlKind::Full, service, at(now))
        .await?;
    Ok(started.crawl().unwrap())
}

async fn finish_crawl(crawldb: &Crawldb, crawl: &Crawl, now: u64) -> Result<Crawl, StartError> {
    index(crawldb, &crawl.id.source()).await?;
    Ok(crawldb
        .end_crawl(crawl, CrawlStatus::Completed, None, at(now))
        .await?)
}

async fn process_due(crawldb: &Crawldb, crawl: &Crawl, owner: &str, now: u64) -> Result<(), CrawldbError> {
    let claimed = crawldb
        .claim(crawl, None, owner, Duration::from_secs(60), 2, at(now))
        .await?;
    let links: Vec<Sighting> = claimed.iter().flat_map(links_of).collect();
    crawldb.seen(crawl, &links, at(now)).await?;
    let attempts = claimed
        .into_iter()
        .map(|item| Attempt {
            outcome: fetch(&item),
            item,
        })
        .collect();
    crawldb
        .finish(crawl, attempts, at(now), &RETRY, &mut || 0.5)
        .await?;
    Ok(())
}

/// A small site: page 0 names 1 to 3, page 3 names 4 and 5.
fn links_of(item: &Item) -> Vec<Sighting> {
    match number_of(item) {
        0 => vec![page(1), page(2), page(3)],
        3 => vec![page(4), page(5)],
        _ => Vec::new(),
    }
}

/// Page 2 works on the second attempt, page 4 never, page 5 is gone.
fn fetch(item: &Item) -> Outcome {
    let failed = |retryable| Outcome::Failed {
        error: ItemError {
            kind: ItemErrorKind::Server,
            message: "500".into(),
            at: at(0),
        },
        retry_after: None,
        retryable,
    };
    match number_of(item) {
        2 if item.retry_count == 0 => failed(true),
        4 => failed(true),
        5 => Outcome::Gone { reason: "410".into() },
        _ => Outcome::Applied {
            checksum: Some(Checksum::of(item.id.as_str().as_bytes())),
            disposition: Disposition::Indexed,
            content: None,
            extract: Some(ArchiveKey::new("extract/a").unwrap()),
            etag: None,
            last_modified: None,
        },
    }
}

async fn end_of(crawldb: &Crawldb, crawl: &Crawl) -> End {
    let mut items = BTreeMap::new();
    for number in 0..6 {
        let item = crawldb
            .item(&crawl.id.source(), &page(number).id)
            .await
            .unwrap()
            .unwrap();
        let written = item.version == Version::new(crawl.started_at, model::Rank::Crawl, 0);
        items.insert(item.id.to_string(), (item.state, item.retry_count, written));
    }
    assert_eq!(
        crawl.totals,
        crawldb.totals(&crawl.id).await.unwrap(),
        "the history equals a recount"
    );
    let (documents, main) = (crawldb.documents(), IndexName::default());
    let searched = documents.scan_documents(&main, None, 100).await.unwrap();
    let searched: Vec<_> = searched.iter().filter(|document| document.is_alive()).collect();
    assert_eq!(
        searched.len() as u64,
        documents.count_documents(&main).await.unwrap()
    );
    assert_eq!(searched.len(), 4, "two of six are not searched");
    (items, crawl.totals)
}

fn page(number: u32) -> Sighting {
    sample_sighting(HOST, number)
}

fn number_of(item: &Item) -> u32 {
    item.id.as_str().rsplit('-').next().unwrap().parse().unwrap()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
