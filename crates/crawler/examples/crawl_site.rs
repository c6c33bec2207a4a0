//! Crawls a site into a folder and says how fast: `crawl_site URL FOLDER [host:port:address] [concurrency]`.
//!
//! The folder gets the crawl database, the update log and the archive, as in production.
#![expect(clippy::print_stdout, reason = "an example talks to a person")]

use std::error::Error;
use std::path::Path;

use archive::Archive;
use crawldb::{CrawlKind, Crawldb, Settings, SiteSettings};
use crawler::{Clock, Crawler, CrawlerDeps, CrawlerOptions, StartedCrawl, Takeover};
use ledger::Ledger;
use model::{PageUrl, SourceId};
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
    let now = Clock::system().now();
    if crawldb.source(&id).await?.is_none() {
        let settings = Settings {
            name: id.to_string(),
            site,
            ..Settings::default()
        };
        crawldb.add_source(id.clone(), settings, now).await?;
    }
    let log = UpdateLog::open_alone(&folder.join("log.sqlite"))?;
    let life = format!("example-{}", now.as_millis());
    let address = format!("file://{}", folder.join("archive").display());
    let deps = CrawlerDeps {
        ledger: Ledger::new(crawldb.clone(), log, &life),
        archive: Archive::open(&address, std::iter::empty::<(&str, &str)>())?,
        pdf: None,
        buckets: None,
        service: "example".to_owned(),
    };
    run(Crawler::new(deps, CrawlerOptions::default()), crawldb, &id).await
}

async fn run(crawler: Crawler, crawldb: Crawldb, source: &SourceId) -> Result<(), Box<dyn Error>> {
    let begun = std::time::Instant::now();
    let resumed = crawler.resume(Takeover::All).await?;
    let id = match resumed.into_iter().next() {
        Some(id) => id,
        None => match crawler.start(source, CrawlKind::Full).await? {
            StartedCrawl::Running(id) => id,
            StartedCrawl::Queued(_) => return Err("another crawl of the site runs".into()),
        },
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
