//! What the crawl database does per second, at any size: `cargo run --release -p crawldb --example ingest -- WHAT...`.
//!
//! ```text
//! ingest [--items N] [--known PERCENT] [--missed PERCENT] [--folder PATH] [--far] [WHAT...]
//! ```
//!
//! `WHAT` is any of `seen known claim restart orphans documents`; all of it, in this order, where none is named. N is
//! 200,000. The file is in a temporary folder below PATH and goes with it; 10 million items need 12 GB there.
//!
//! Every figure is one line of JSON on stdout; `parts` are the rates of each 100,000 items, which show whether it is flat.
//! What goes on is told on stderr. Processor time is that of the whole process. `peak_bytes` is its resident memory at most
//! since the figure began, with the pages of the file that it has mapped (up to 1 GiB, which the system takes back when it
//! needs them); `own_bytes` is without them, at the end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crawldb::testkit::sample_settings;
use crawldb::transition::orphan;
use crawldb::{
    Attempt, Crawl, CrawlKind, CrawlStatus, Crawldb, Disposition, Item, Outcome, RetryPolicy, Scan, Sighting,
};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Timestamp};

type Failure = Box<dyn std::error::Error>;

const BATCH: u64 = 200;
const PART: u64 = 100_000;
const HOSTS: u64 = 20;
const ALL: [&str; 6] = ["seen", "known", "claim", "restart", "orphans", "documents"];

fn main() -> Result<(), Failure> {
    let options = Options::from_arguments(std::env::args().skip(1))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&options))
}

struct Options {
    items: u64,
    known_percent: u64,
    missed_percent: u64,
    folder: PathBuf,
    /// Each item on another host and section than the one before: the worst that can come.
    is_far: bool,
    what: Vec<String>,
}

impl Options {
    fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut options = Self {
            items: 200_000,
            known_percent: 45,
            missed_percent: 1,
            folder: std::env::temp_dir(),
            is_far: false,
            what: Vec::new(),
        };
        while let Some(argument) = arguments.next() {
            let mut value = || {
                arguments
                    .next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                "--items" => options.items = value()?.parse()?,
                "--known" => options.known_percent = value()?.parse()?,
                "--missed" => options.missed_percent = value()?.parse()?,
                "--folder" => options.folder = value()?.into(),
                "--far" => options.is_far = true,
                what if ALL.contains(&what) => options.what.push(argument),
                other => return Err(format!("{other} is not known; name any of {ALL:?}").into()),
            }
        }
        Ok(options)
    }

    fn asks_for(&self, what: &str) -> bool {
        self.what.is_empty() || self.what.iter().any(|asked| asked == what)
    }

    fn sighting(&self, number: u64) -> Result<Sighting, Failure> {
        let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let section = number / BATCH;
        let (host, path) = if self.is_far {
            (
                number % HOSTS,
                format!("far-{}/page-{scattered:x}", scattered % 97),
            )
        } else {
            (section % HOSTS, format!("section-{section}/page-{scattered:x}"))
        };
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
}

/// One figure: what is measured is timed call by call, so that making the input does not count.
struct Figure {
    name: &'static str,
    items: u64,
    spent: Duration,
    cpu: Duration,
    parts: Vec<u64>,
    part: (u64, Duration),
}

impl Figure {
    fn new(name: &'static str) -> Self {
        progress(&format!("{name} ..."));
        forget_peak();
        Self {
            name,
            items: 0,
            spent: Duration::ZERO,
            cpu: Duration::ZERO,
            parts: Vec::new(),
            part: (0, Duration::ZERO),
        }
    }

    async fn time<T, E>(&mut self, items: u64, call: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        let cpu = processor_time();
        let begun = Instant::now();
        let answer = call.await?;
        let spent = begun.elapsed();
        self.cpu += processor_time().saturating_sub(cpu);
        self.spent += spent;
        self.items += items;
        self.part = (self.part.0 + items, self.part.1 + spent);
        if self.part.0 >= PART {
            self.parts.push(per_second(self.part.0, self.part.1));
            self.part = (0, Duration::ZERO);
        }
        Ok(answer)
    }

    fn report(self) {
        let line = serde_json::json!({
            "name": self.name,
            "items": self.items,
            "seconds": self.spent.as_secs_f64(),
            "items_per_s": per_second(self.items, self.spent),
            "cpu_us_per_item": self.cpu.as_secs_f64() * 1e6 / (self.items.max(1) as f64),
            "peak_bytes": memory("VmHWM:"),
            "own_bytes": memory("RssAnon:"),
            "parts": self.parts,
        });
        say(&line.to_string());
    }
}

fn per_second(items: u64, time: Duration) -> u64 {
    (items as f64 / time.as_secs_f64().max(1e-9)) as u64
}

async fn measure(options: &Options) -> Result<(), Failure> {
    let folder = tempfile::Builder::new()
        .prefix("haul-ingest-")
        .tempdir_in(&options.folder)?;
    let path = folder.path().join("crawl.db");
    let crawldb = Crawldb::open(&path)?;
    let id = SourceId::new("bench")?;
    crawldb
        .add_source(id.clone(), sample_settings("bench"), at(0))
        .await?;

    let first = start(&crawldb, &id, 1_000).await?;
    see(&crawldb, &first, options, "seen, new", 0..options.items).await?;
    if options.asks_for("known") {
        let known = options.items * options.known_percent / 100;
        let some = options.items - known..2 * options.items - known;
        see(&crawldb, &first, options, "seen, some known", some).await?;
    }
    drop(crawldb);
    let crawldb = restart(&path, &first, options).await?;
    if options.asks_for("claim") {
        process(&crawldb, &first, "claimed and finished, applied").await?;
    }
    complete(&crawldb, &first, 5_000).await?;

    if options.asks_for("orphans") {
        let second = start(&crawldb, &id, 6_000).await?;
        let seen = options.items - options.items * options.missed_percent / 100;
        see(&crawldb, &second, options, "seen again", 0..seen).await?;
        if options.asks_for("claim") {
            process(&crawldb, &second, "claimed and finished, unchanged").await?;
        }
        complete(&crawldb, &second, 7_000).await?;
        find_orphans(&crawldb, &second).await?;
    }
    if options.asks_for("documents") {
        write_documents(&crawldb, &id).await?;
    }
    report_size(&path)
}

async fn start(crawldb: &Crawldb, source: &SourceId, now: u64) -> Result<Crawl, Failure> {
    let started = crawldb
        .start_crawl(source, CrawlKind::Full, "bench", at(now))
        .await?;
    started.crawl().ok_or_else(|| "another crawl runs".into())
}

async fn complete(crawldb: &Crawldb, crawl: &Crawl, now: u64) -> Result<(), Failure> {
    let mut figure = Figure::new("end of the crawl");
    let end = crawldb.end_crawl(crawl, CrawlStatus::Completed, None, at(now));
    let ended = figure.time(1, end).await?;
    progress(&format!("{:?}", ended.totals));
    figure.report();
    Ok(())
}

async fn see(
    crawldb: &Crawldb,
    crawl: &Crawl,
    options: &Options,
    name: &'static str,
    numbers: std::ops::Range<u64>,
) -> Result<(), Failure> {
    let mut figure = Figure::new(name);
    let mut from = numbers.start;
    while from < numbers.end {
        let to = numbers.end.min(from + BATCH);
        let sightings = (from..to)
            .map(|number| options.sighting(number))
            .collect::<Result<Vec<_>, _>>()?;
        figure
            .time(to - from, crawldb.seen(crawl, &sightings, at(2_000)))
            .await?;
        from = to;
    }
    figure.report();
    Ok(())
}

/// From the file on the disk to the first claimed item; the system's cache is warm.
async fn restart(path: &std::path::Path, crawl: &Crawl, options: &Options) -> Result<Crawldb, Failure> {
    let mut figure = Figure::new("restart to first claim");
    let reopen = async {
        let crawldb = Crawldb::open(path)?;
        let claimed = crawldb
            .claim(crawl, None, "bench", Duration::from_secs(60), 1, at(9_000))
            .await?;
        Ok::<_, Failure>((crawldb, claimed))
    };
    let (crawldb, claimed) = figure.time(1, reopen).await?;
    let attempts = claimed.into_iter().map(|item| Attempt {
        item,
        outcome: Outcome::Released,
    });
    let retry = RetryPolicy::default();
    crawldb
        .finish(crawl, attempts.collect(), at(2_000), &retry, &mut || 0.5)
        .await?;
    if options.asks_for("restart") {
        figure.report();
    }
    Ok(crawldb)
}

async fn process(crawldb: &Crawldb, crawl: &Crawl, name: &'static str) -> Result<(), Failure> {
    let (retry, lease) = (RetryPolicy::default(), Duration::from_secs(60));
    let mut figure = Figure::new(name);
    loop {
        let claim = crawldb.claim(crawl, None, "bench", lease, BATCH as usize, at(9_000));
        let claimed = figure.time(0, claim).await?;
        if claimed.is_empty() {
            figure.report();
            return Ok(());
        }
        let items = claimed.len() as u64;
        let attempts = claimed.into_iter().map(attempt).collect::<Result<_, _>>()?;
        let finish = crawldb.finish(crawl, attempts, at(4_000), &retry, &mut || 0.5);
        figure.time(items, finish).await?;
    }
}

fn attempt(item: Item) -> Result<Attempt, Failure> {
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

/// Passes the whole source for what the crawl missed, as a sweep does, and keeps nothing of it.
async fn find_orphans(crawldb: &Crawldb, crawl: &Crawl) -> Result<(), Failure> {
    let source = crawl.id.source();
    let all = crawldb.store().counts(&source, None).await?;
    let all = all.by_state.values().map(|(all, _)| all).sum();
    let mut figure = Figure::new("orphans looked for");
    let scan = async {
        let (mut missed, mut after) = (0, None::<ItemId>);
        loop {
            let scan = Scan {
                missed_by: Some(crawl.started_at),
                after: after.as_ref(),
                ..Scan::all(&source, 1_000)
            };
            let page = crawldb.items(&scan).await?;
            missed += page.iter().filter(|item| orphan::is_missed(item, crawl)).count();
            match page.last() {
                Some(last) => after = Some(last.id.clone()),
                None => return Ok::<_, Failure>(missed),
            }
        }
    };
    let missed = figure.time(all, scan).await?;
    progress(&format!("{missed} of {all} were missed"));
    figure.report();
    Ok(())
}

async fn write_documents(crawldb: &Crawldb, source: &SourceId) -> Result<(), Failure> {
    let mut after: Option<ItemId> = None;
    let mut figure = Figure::new("documents written");
    loop {
        let scan = Scan {
            after: after.as_ref(),
            ..Scan::all(source, BATCH as usize)
        };
        let items = crawldb.items(&scan).await?;
        let Some(last) = items.last() else { break };
        after = Some(last.id.clone());
        figure.time(items.len() as u64, crawldb.project(&items)).await?;
    }
    figure.report();
    let index = crawldb.documents().index_in_force().await?;
    let mut figure = Figure::new("documents counted");
    let count = crawldb.documents().count_documents(&index);
    let count = figure.time(1, count).await?;
    progress(&format!("{count} documents"));
    figure.report();
    Ok(())
}

fn report_size(path: &std::path::Path) -> Result<(), Failure> {
    let bytes = std::fs::metadata(path)?.len();
    say(&serde_json::json!({"name": "file", "bytes": bytes}).to_string());
    Ok(())
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Of this process, in ticks of 10 ms; nothing where the system does not tell.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}

/// The peak is counted from here; from the start of the process where the system does not allow it.
fn forget_peak() {
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        progress("peaks are those since the start");
    }
}

/// A line of the kernel's account of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

#[expect(clippy::print_stdout, reason = "this program exists to print")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::print_stderr, reason = "who waits for hours wants to see something")]
fn progress(line: &str) {
    eprintln!("{line}");
}
