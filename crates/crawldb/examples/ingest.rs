//! How fast the crawl database takes items in and hands them out: `cargo run --release -p crawldb --example ingest`.
//!
//! Arguments: how many items (200,000), and the file (one in the temporary folder).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crawldb::{
    Attempt, Crawl, CrawlStatus, Crawldb, DeletionCapability, Disposition, Outcome, RetryPolicy, Revision,
    Sighting, SiteSettings, Source,
};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Timestamp};

type Failure = Box<dyn std::error::Error>;

const BATCH: u64 = 200;
const HOSTS: u64 = 20;

fn main() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure())
}

async fn measure() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let items: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let path = arguments
        .next()
        .map_or_else(|| folder.path().join("crawl.db"), PathBuf::from);
    let crawldb = Crawldb::open(&path)?;
    crawldb.add_source(source()?).await?;

    let id = SourceId::new("bench")?;
    let first = crawldb.start_crawl(&id, "bench", at(1_000)).await?;
    report(
        "seen, new, near each other",
        items,
        see_all(&crawldb, &first, items, near).await?,
    );
    report(
        "seen, new, far apart",
        items,
        see_all(&crawldb, &first, items, far).await?,
    );
    report(
        "seen, known",
        items,
        see_all(&crawldb, &first, items, near).await?,
    );
    report(
        "claim and finish, applied",
        2 * items,
        process_all(&crawldb, &first).await?,
    );
    crawldb
        .end_crawl(&first.id, CrawlStatus::Completed, None, at(5_000))
        .await?;

    let second = crawldb.start_crawl(&id, "bench", at(6_000)).await?;
    report(
        "seen, again",
        items,
        see_all(&crawldb, &second, items, near).await?,
    );
    report(
        "claim and finish, unchanged",
        items,
        process_all(&crawldb, &second).await?,
    );

    let begun = Instant::now();
    let totals = crawldb.totals(&second.id).await?;
    report("totals", 1, begun.elapsed());
    let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;
    say(&format!(
        "{megabytes:.0} MB, {:.0} bytes per item, {totals:?}",
        megabytes * 1e6 / (2 * items) as f64
    ));
    Ok(())
}

async fn see_all(
    crawldb: &Crawldb,
    crawl: &Crawl,
    items: u64,
    sighting: fn(u64) -> Result<Sighting, Failure>,
) -> Result<Duration, Failure> {
    let mut spent = Duration::ZERO;
    for batch in 0..items / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let sightings: Vec<Sighting> = numbers.map(sighting).collect::<Result<_, _>>()?;
        let begun = Instant::now();
        crawldb.seen(crawl, &sightings, at(2_000)).await?;
        spent += begun.elapsed();
    }
    Ok(spent)
}

async fn process_all(crawldb: &Crawldb, crawl: &Crawl) -> Result<Duration, Failure> {
    let (retry, lease) = (RetryPolicy::default(), Duration::from_secs(60));
    let mut spent = Duration::ZERO;
    loop {
        let begun = Instant::now();
        let claimed = crawldb
            .claim(crawl, None, "bench", lease, BATCH as usize, at(9_000))
            .await?;
        spent += begun.elapsed();
        if claimed.is_empty() {
            return Ok(spent);
        }
        let attempts = claimed.into_iter().map(attempt).collect::<Result<_, _>>()?;
        let begun = Instant::now();
        crawldb
            .finish(crawl, attempts, at(4_000), &retry, &mut || 0.5)
            .await?;
        spent += begun.elapsed();
    }
}

fn attempt(item: crawldb::Item) -> Result<Attempt, Failure> {
    let checksum = Checksum::of(item.id.as_str().as_bytes());
    let outcome = Outcome::Applied {
        checksum: Some(checksum),
        disposition: Disposition::Indexed,
        content: Some(ArchiveKey::new(format!("content/{checksum}.bundle#123456+7890"))?),
        extract: Some(ArchiveKey::new(format!("extract/{checksum}.bundle#12345+6789"))?),
        etag: Some("\"5f3a-1234abcd\"".into()),
        last_modified: Some("Sat, 21 Nov 2026 04:20:04 GMT".into()),
    };
    Ok(Attempt { item, outcome })
}

/// Pages as the links of one page name them: the same host and section.
fn near(number: u64) -> Result<Sighting, Failure> {
    let section = number / BATCH;
    sighting(
        section % HOSTS,
        &format!("section-{section}/page-{:x}", scattered(number)),
    )
}

/// Pages without any order: each on another host and section than the one before. The worst that can come.
fn far(number: u64) -> Result<Sighting, Failure> {
    sighting(
        number % HOSTS,
        &format!("far-{}/page-{:x}", scattered(number) % 97, scattered(number)),
    )
}

fn scattered(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}

fn sighting(host: u64, path: &str) -> Result<Sighting, Failure> {
    let host = format!("www{host}.example.gov");
    let url = PageUrl::parse(&format!("https://{host}/library/{path}.html"))?;
    Ok(Sighting {
        id: ItemId::new(url.as_str())?,
        url,
        parent: Some(ItemId::new(format!("https://{host}/library/"))?),
        scope: host,
        depth: 3,
        alias: None,
    })
}

fn source() -> Result<Source, Failure> {
    Ok(Source {
        id: SourceId::new("bench")?,
        name: "bench".into(),
        revision: Revision::NEW,
        configuration: 1,
        site: SiteSettings::default(),
        bucket: None,
        retry: RetryPolicy::default(),
        deletion: DeletionCapability::default(),
        last_crawl_start: None,
        active_crawl: None,
        lock_epoch: 0,
        created_at: at(0),
    })
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn report(what: &str, items: u64, spent: Duration) {
    let rate = items as f64 / spent.as_secs_f64();
    say(&format!(
        "{what}: {rate:.0} items/s ({:.2} s)",
        spent.as_secs_f64()
    ));
}

#[expect(clippy::print_stdout, reason = "this program exists to print")]
fn say(line: &str) {
    println!("{line}");
}
