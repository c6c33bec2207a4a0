//! Everything that a crawl needs, in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use archive::Archive;
use crawldb::{
    Crawl, CrawlKind, CrawlStatus, Crawldb, Disposition, Item, ItemState, RetryPolicy, Scan, Settings,
    SiteSettings, SourceKind,
};
use crawler::{BucketAccess, Clock, Crawler, CrawlerDeps, CrawlerOptions, StartedCrawl};
use ledger::Ledger;
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};
use updates::{Applied, Change, Control, Entry, LiveChange, LiveUpdate, Partition, UpdateLog, topics};

use crate::site::Server;

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) crawldb: Crawldb,
    pub(crate) log: UpdateLog,
    pub(crate) archive: Archive,
    pub(crate) source: SourceId,
    pub(crate) buckets: Option<BucketAccess>,
    pub(crate) options: CrawlerOptions,
}

impl World {
    /// A world whose one source is the server's site, crawled fast; `change` changes the settings.
    pub(crate) async fn new(server: &Server, change: impl FnOnce(&mut SiteSettings)) -> Self {
        let mut site = SiteSettings {
            start: vec![PageUrl::parse(&server.url("/")).unwrap()],
            delay_ms: 0,
            resolve: vec![format!("site.test:{}:127.0.0.1", server.port)],
            ..SiteSettings::default()
        };
        change(&mut site);
        let world = Self::empty(None);
        world.add(settings(SourceKind::Site, site)).await;
        world
    }

    /// A world whose one source is a bucket.
    pub(crate) async fn of_bucket(
        address: &str,
        access: BucketAccess,
        change: impl FnOnce(&mut SiteSettings),
    ) -> Self {
        let mut site = SiteSettings {
            start: vec![PageUrl::parse("https://site.test/").unwrap()],
            delay_ms: 0,
            concurrency_per_host: 32,
            ..SiteSettings::default()
        };
        change(&mut site);
        let world = Self::empty(Some(access));
        let address = address.to_owned();
        world.add(settings(SourceKind::Bucket { address }, site)).await;
        world
    }

    pub(crate) fn empty(buckets: Option<BucketAccess>) -> Self {
        let options = CrawlerOptions {
            stop_grace: Duration::from_secs(2),
            robots_patience: Duration::from_millis(100),
            drain_patience: Duration::from_millis(500),
            ..CrawlerOptions::default()
        };
        Self {
            crawldb: Crawldb::memory(),
            log: UpdateLog::memory(),
            archive: Archive::open("memory:///", std::iter::empty::<(&str, &str)>()).unwrap(),
            source: SourceId::new("site").unwrap(),
            buckets,
            options,
        }
    }

    pub(crate) async fn add(&self, settings: Settings) {
        let now = Timestamp::from_millis(1);
        self.crawldb
            .add_source(self.source.clone(), settings, now)
            .await
            .unwrap();
    }

    /// Changes the settings of the source.
    pub(crate) async fn change(&self, change: impl FnOnce(&mut Settings)) {
        let source = self.crawldb.source(&self.source).await.unwrap().unwrap();
        let mut settings = source.settings;
        change(&mut settings);
        let now = Clock::system().now();
        let changed = self
            .crawldb
            .update_source(&source.id, source.configuration, settings, now);
        changed.await.unwrap();
    }

    /// The same world as another process sees it.
    pub(crate) fn with_stores(&self, crawldb: Crawldb, log: UpdateLog) -> Self {
        Self {
            crawldb,
            log,
            ..self.clone()
        }
    }

    /// The source itself tells of a page.
    pub(crate) async fn tell_of(&self, url: &PageUrl) {
        let update = LiveUpdate {
            item: ItemId::new(url.as_str()).unwrap(),
            url: url.clone(),
            at: None,
            change: LiveChange::Fetch,
        };
        let entry = Entry {
            key: update.item.to_string(),
            scope: url.host().to_string(),
            value: Some(update),
        };
        self.log
            .append(&topics::live(&self.source), &[entry])
            .await
            .unwrap();
    }

    /// Waits until the condition holds for the newest crawls, newest first.
    pub(crate) async fn crawls(&self, holds: impl Fn(&[Crawl]) -> bool) -> Vec<Crawl> {
        for _ in 0..1_500 {
            let crawls = self.crawldb.crawls(Some(&self.source), 9).await.unwrap();
            if holds(&crawls) {
                return crawls;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:#?}", self.crawldb.crawls(Some(&self.source), 9).await)
    }

    pub(crate) fn crawler(&self) -> Crawler {
        static LIVES: AtomicUsize = AtomicUsize::new(0);
        let owner = format!("test-{}", LIVES.fetch_add(1, Ordering::Relaxed));
        let deps = CrawlerDeps {
            ledger: Ledger::new(self.crawldb.clone(), self.log.clone(), &owner),
            archive: self.archive.clone(),
            pdf: None,
            buckets: self.buckets.clone(),
            service: owner,
        };
        Crawler::new(deps, self.options.clone())
    }

    /// Begins a full crawl.
    pub(crate) async fn start(&self, crawler: &Crawler) -> CrawlId {
        match crawler.start(&self.source, CrawlKind::Full).await.unwrap() {
            StartedCrawl::Running(id) => id,
            queued => panic!("{queued:?}"),
        }
    }

    /// Crawls once, from start to end.
    pub(crate) async fn crawl(&self) -> Crawl {
        let crawler = self.crawler();
        let id = self.start(&crawler).await;
        let crawl = self.ended(&crawler, &id).await;
        crawler.stop().await;
        crawl
    }

    /// Waits until the crawler has nothing more to do with the crawl.
    pub(crate) async fn ended(&self, crawler: &Crawler, id: &CrawlId) -> Crawl {
        let mut progress = crawler.progress(id).unwrap();
        let wait = progress.wait_for(|progress| progress.is_final);
        let ended = tokio::time::timeout(Duration::from_secs(15), wait).await;
        ended.expect("the crawl ends").unwrap();
        self.crawldb.crawl(id).await.unwrap().unwrap()
    }

    pub(crate) async fn all_items(&self) -> Vec<Item> {
        let scan = Scan::all(&self.source, 10_000);
        self.crawldb.items(&scan).await.unwrap()
    }

    /// Every item by path (and host, where it is another one) with what became of it.
    pub(crate) async fn items(&self) -> BTreeMap<String, String> {
        self.all_items()
            .await
            .iter()
            .map(|item| (place(&item.url), fate(item)))
            .collect()
    }

    pub(crate) async fn item(&self, path: &str) -> Item {
        let items = self.all_items().await;
        items
            .into_iter()
            .find(|item| place(&item.url) == path)
            .unwrap_or_else(|| panic!("no item {path}"))
    }

    /// What the log says of each item: the newest record of each, and how many there were.
    pub(crate) async fn applied(&self) -> (BTreeMap<String, &'static str>, usize) {
        let records = self.read::<Applied>(&topics::applied(&self.source)).await;
        let mut newest = BTreeMap::new();
        for applied in &records {
            let change = match applied.change {
                Change::Upsert { .. } => "upsert",
                Change::Delete { .. } => "delete",
            };
            newest.insert(place(&PageUrl::parse(applied.item.as_str()).unwrap()), change);
        }
        (newest, records.len())
    }

    pub(crate) async fn control(&self) -> Vec<Control> {
        self.read(topics::CONTROL).await
    }

    pub(crate) async fn read<T: serde::de::DeserializeOwned>(&self, topic: &str) -> Vec<T> {
        let mut values = Vec::new();
        for (number, marks) in (0..).zip(self.log.watermarks(topic).await.unwrap()) {
            let partition = Partition {
                topic: topic.to_owned(),
                number,
            };
            let mut from = marks.low;
            while from < marks.high {
                let records = self.log.read(&partition, from, 1_000).await.unwrap();
                let Some(last) = records.last() else { break };
                from = last.position.offset + 1;
                values.extend(records.iter().filter_map(|record| record.decode().unwrap()));
            }
        }
        values
    }
}

pub(crate) fn settings(kind: SourceKind, site: SiteSettings) -> Settings {
    Settings {
        name: "A site".into(),
        kind,
        site,
        retry: RetryPolicy {
            max_retries: 2,
            initial_ms: 10,
            max_ms: 50,
            multiplier: 2.0,
        },
        ..Settings::default()
    }
}

fn place(url: &PageUrl) -> String {
    let host = url.host();
    let path = &url.as_url()[url::Position::BeforePath..];
    if host.name() == "site.test" {
        path.to_owned()
    } else {
        format!("//{host}{path}")
    }
}

fn fate(item: &Item) -> String {
    match (item.state, &item.disposition) {
        (ItemState::Success | ItemState::Unchanged, Some(disposition)) => {
            let disposition = match disposition {
                Disposition::Indexed => "indexed".to_owned(),
                Disposition::Alias(target) => {
                    format!("-> {}", place(&PageUrl::parse(target.as_str()).unwrap()))
                }
                Disposition::Noindex => "noindex".to_owned(),
                Disposition::Disallowed => "disallowed".to_owned(),
                Disposition::Unsupported(media_type) => format!("unsupported {media_type}"),
            };
            if item.state == ItemState::Unchanged {
                format!("unchanged {disposition}")
            } else {
                disposition
            }
        }
        (ItemState::Escalated, _) => {
            let error = item.last_error.as_ref().unwrap();
            format!("escalated {:?}: {}", error.kind, error.message)
        }
        (state, _) => format!("{state:?}").to_lowercase(),
    }
}

/// Compares with lines like `/a: indexed`.
#[track_caller]
pub(crate) fn check(items: &BTreeMap<String, String>, expected: &str) {
    let lines: Vec<String> = items
        .iter()
        .map(|(path, fate)| format!("{path}: {fate}"))
        .collect();
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(lines, expected);
}

#[track_caller]
pub(crate) fn check_completed(crawl: &Crawl) {
    assert_eq!(
        (crawl.status, crawl.reason.as_deref()),
        (CrawlStatus::Completed, None)
    );
    assert_eq!(crawl.totals.open, 0);
}
