//! What the ledger writes and replays per second: `cargo run --release -p ledger --example replay -- ITEMS FOLDER`.
//!
//! A crawl of ITEMS pages is seen, claimed and settled through the ledger, on the embedded stores in a temporary folder below
//! FOLDER; then what was applied is replayed into an empty index, and once more. Each figure is a line of JSON.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::path::Path;
use std::time::{Duration, Instant};

use crawldb::testkit::sample_settings;
use crawldb::{Attempt, CrawlKind, Crawldb, Disposition, IndexName, Item, Outcome, RetryPolicy, Sighting};
use ledger::{Ledger, Replay, ReplayFrom};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Timestamp};
use updates::{UpdateLog, topics};

type Failure = Box<dyn std::error::Error>;

/// What the crawler writes together.
const BATCH: usize = 256;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let items: u64 = arguments.next().unwrap_or_else(|| "200000".to_owned()).parse()?;
    let folder = arguments.next().map_or_else(std::env::temp_dir, Into::into);
    let folder = tempfile::Builder::new()
        .prefix("haul-replay-")
        .tempdir_in(folder)?;
    let (ledger, source) = open(folder.path()).await?;
    settle(&ledger, &source, items).await?;
    for name in ["replayed into an empty index", "replayed again"] {
        let replay = Replay {
            source: source.clone(),
            from: ReplayFrom::Beginning,
            into: Some(IndexName::new("next")?),
        };
        let begun = Instant::now();
        let replayed = ledger.replay(&replay, &|_| {}).await?;
        report(name, replayed.read, begun.elapsed());
    }
    Ok(())
}

async fn open(folder: &Path) -> Result<(Ledger, SourceId), Failure> {
    let (crawldb, log) = (
        Crawldb::open(&folder.join("crawldb.sqlite"))?,
        UpdateLog::open(&folder.join("updates.sqlite"))?,
    );
    let source = SourceId::new("bench")?;
    crawldb
        .add_source(source.clone(), sample_settings("bench"), at(0))
        .await?;
    topics::ensure_source(&log, &source, topics::DEFAULT_PARTITIONS).await?;
    Ok((Ledger::new(crawldb, log, "bench"), source))
}

/// A crawl in which every page is new.
async fn settle(ledger: &Ledger, source: &SourceId, items: u64) -> Result<(), Failure> {
    let started = ledger
        .crawldb()
        .start_crawl(source, CrawlKind::Full, "bench", at(1_000))
        .await?;
    let crawl = started.crawl().ok_or("another crawl runs")?;
    let (mut sighted, mut settled) = (Duration::ZERO, Duration::ZERO);
    let sightings = (0..items).map(sighting).collect::<Result<Vec<_>, _>>()?;
    for batch in sightings.chunks(BATCH) {
        let begun = Instant::now();
        ledger.sight(&crawl, batch, at(2_000)).await?;
        sighted += begun.elapsed();
    }
    report("sighted", items, sighted);
    let (lease, retry) = (Duration::from_secs(60), RetryPolicy::default());
    loop {
        let begun = Instant::now();
        let claimed = ledger
            .crawldb()
            .claim(&crawl, None, "bench", lease, BATCH, at(3_000))
            .await?;
        settled += begun.elapsed();
        if claimed.is_empty() {
            break;
        }
        let attempts = claimed.into_iter().map(attempt).collect::<Result<Vec<_>, _>>()?;
        let begun = Instant::now();
        ledger
            .settle(&crawl, attempts, &retry, at(4_000), &mut || 0.5)
            .await?;
        settled += begun.elapsed();
    }
    report("claimed and settled", items, settled);
    Ok(())
}

fn sighting(number: u64) -> Result<Sighting, Failure> {
    let host = format!("www{}.example.gov", number % 20);
    let url = PageUrl::parse(&format!("https://{host}/library/page-{number}.html"))?;
    Ok(Sighting {
        id: ItemId::new(url.as_str())?,
        url,
        scope: host,
        parent: None,
        depth: 1,
        alias: None,
    })
}

fn attempt(item: Item) -> Result<Attempt, Failure> {
    let checksum = Checksum::of(item.id.as_str().as_bytes());
    let outcome = Outcome::Applied {
        checksum: Some(checksum),
        disposition: Disposition::Indexed,
        content: Some(ArchiveKey::new(format!("content/{checksum}.bundle#1234+567"))?),
        extract: Some(ArchiveKey::new(format!("extract/{checksum}.bundle#1234+567"))?),
        etag: None,
        last_modified: None,
    };
    Ok(Attempt { item, outcome })
}

fn report(name: &str, items: u64, took: Duration) {
    let seconds = took.as_secs_f64();
    let rate = items as f64 / seconds.max(1e-9);
    println!(r#"{{"name": "{name}", "items": {items}, "seconds": {seconds:.3}, "items_per_s": {rate:.0}}}"#);
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}
