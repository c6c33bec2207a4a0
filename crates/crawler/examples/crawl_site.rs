//! Crawls a site into a folder and says how fast: `crawl_site URL FOLDER [host:port:address] [concurrency]`.
//!
//! The folder gets the crawl database, the update log and the archive, as in production.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::path::Path;

use archive::Archive;
use crawldb::{Crawldb, DeletionCapability, RetryPolicy, Revision, SiteSettings, Source};
use crawler::{Crawler, CrawlerDeps, CrawlerOptions};
use model::{PageUrl, SourceId, Timestamp};
use updates::UpdateLog;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, url, folder, rest @ ..] = args.as_slice() else {
        return Err("usage: crawl_site URL FOLDER [host:port:address] [concurrency]".into());
    };
    let site = SiteSettings {
        start: vec![PageUrl::parse(url)?],
        resolve: rest.first().cloned().into_iter().collect(),
        concurrency_per_host: rest.get(1).map_or(Ok(32), |text| text.parse())?,
        delay_ms: 0,
        ..SiteSettings::default()
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let crawldb = Crawldb::open(&folder.join("crawldb.sqlite"))?;
    let id = SourceId::new("site")?;
    if crawldb.source(&id).await?.is_none() {
        crawldb.add_source(source(&id, site)).await?;
    }
    let address = format!("file://{}", folder.join("archive").display());
    let deps = CrawlerDeps {
        crawldb,
        log: UpdateLog::open(&folder.join("log.sqlite"))?,
        archive: Archive::open(&address, std::iter::empty::<(&str, &str)>())?,
        pdf: None,
        buckets: None,
        service: "example".to_owned(),
    };
    run(
        Crawler::new(deps.clone(), CrawlerOptions::default()),
        deps.crawldb,
        &id,
    )
    .await
}

async fn run(crawler: Crawler, crawldb: Crawldb, source: &SourceId) -> Result<(), Box<dyn Error>> {
    let begun = std::time::Instant::now();
    let resumed = crawler.resume().await?;
    let id = match resumed.into_iter().next() {
        Some(id) => id,
        None => crawler.start(source).await?,
    };
    let mut progress = crawler.progress(&id).ok_or("the crawl is not known")?;
    loop {
        let now = progress.borrow_and_update().clone();
        println!(
            "{:?}: {} seen, {} open, {:.0} pages/s",
            now.status, now.totals.seen, now.totals.open, now.pages_per_second
        );
        if now.is_final {
            break;
        }
        progress.changed().await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    crawler.stop().await;
    let mut registry = prometheus_client::registry::Registry::default();
    crawler.register_metrics(&mut registry);
    let mut metrics = String::new();
    prometheus_client::encoding::text::encode(&mut metrics, &registry)?;
    for line in metrics
        .lines()
        .filter(|line| line.contains("_sum") || line.contains("_count"))
    {
        println!("{line}");
    }
    let crawl = crawldb.crawl(&id).await?.ok_or("the crawl is not known")?;
    let rate = crawl.fetches as f64 / seconds;
    println!("{:?} {:?}: {:?}", crawl.status, crawl.reason, crawl.totals);
    println!(
        "{} pages, {} bytes in {seconds:.2} s: {rate:.0} pages/s",
        crawl.fetches, crawl.fetched_bytes
    );
    Ok(())
}

fn source(id: &SourceId, site: SiteSettings) -> Source {
    Source {
        id: id.clone(),
        name: id.to_string(),
        revision: Revision::NEW,
        configuration: 1,
        site,
        bucket: None,
        retry: RetryPolicy::default(),
        deletion: DeletionCapability::Enumerate,
        last_crawl_start: None,
        active_crawl: None,
        lock_epoch: 0,
        created_at: Timestamp::from_millis(0),
    }
}
