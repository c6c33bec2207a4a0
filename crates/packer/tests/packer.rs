//! A packer between a log and an archive, both in memory.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use archive::{Archive, Kind};
use catalog::Catalog;
use extract::{Extract, Passage};
use model::{Checksum, CrawlId, Host, ItemId, PageUrl, Rank, SourceId, Timestamp, Version};
use packer::{Packer, PackerOptions, Stage};
use pkgindex::Index;
use pkgindex::store::MemoryStore;
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use updates::{Applied, Change, Control, Ended, Entry, UpdateLog, topics};

/// The parts that outlive a packer.
struct World {
    log: UpdateLog,
    archive: Archive,
    catalog: Catalog,
    folder: TempDir,
    source: SourceId,
}

impl World {
    async fn new() -> Self {
        let (log, archive) = (UpdateLog::memory(), Archive::memory());
        let index = Index::open(Box::new(MemoryStore::new()), pkgindex::Options::default()).unwrap();
        let world = Self {
            catalog: Catalog::new(index, archive.clone(), log.clone()),
            log,
            archive,
            folder: TempDir::new().unwrap(),
            source: SourceId::new("county").unwrap(),
        };
        topics::ensure_source(&world.log, &world.source, 4).await.unwrap();
        world
    }

    /// Where the log of what was applied ends, by partition.
    async fn applied_ends(&self) -> Vec<u64> {
        let marks = self.log.watermarks(&topics::applied(&self.source)).await.unwrap();
        marks.iter().map(|marks| marks.high).collect()
    }

    /// A packer that is never prompted by a timer in the time of a test, unless the test shortens it.
    async fn packer(&self, change: impl FnOnce(&mut PackerOptions)) -> Packer {
        let mut options = PackerOptions::new(self.folder.path().join("work"));
        options.idle = Duration::from_secs(3_600);
        change(&mut options);
        let mut registry = Registry::default();
        Packer::start(
            self.log.clone(),
            self.archive.clone(),
            self.catalog.clone(),
            options,
            &mut registry,
        )
        .await
        .unwrap()
    }

    async fn apply(&self, host: &str, path: &str, at: u64, text: Option<&str>) {
        let url = PageUrl::parse(&format!("http://{host}{path}")).unwrap();
        let at = Timestamp::from_millis(at);
        let change = match text {
            None => Change::Delete { url: None },
            Some(text) => Change::Upsert {
                url: url.clone(),
                checksum: Checksum::of(text.as_bytes()),
                extract: self.store(text).await,
            },
        };
        let applied = Applied {
            source: self.source.clone(),
            item: ItemId::new(url.as_str()).unwrap(),
            crawl: CrawlId::at(&self.source, at),
            version: Version::new(at, Rank::Crawl, 0),
            write: 1,
            host: url.host(),
            at,
            change,
        };
        let entry = Entry {
            key: url.to_string(),
            scope: host.into(),
            value: Some(applied),
        };
        self.log
            .append(&topics::applied(&self.source), &[entry])
            .await
            .unwrap();
    }

    async fn store(&self, text: &str) -> model::ArchiveKey {
        let passage = Passage {
            text: text.into(),
            ..Passage::default()
        };
        let extract = Extract {
            title: text.into(),
            passages: vec![passage],
            ..Extract::default()
        };
        let parts = vec![serde_json::to_vec(&extract).unwrap()];
        self.archive
            .put_bundle(Kind::Extract, parts)
            .await
            .unwrap()
            .remove(0)
    }

    async fn tell(&self, event: Control) {
        let entry = Entry {
            key: format!("{event:?}"),
            scope: "control".into(),
            value: Some(event),
        };
        self.log.append(topics::CONTROL, &[entry]).await.unwrap();
    }

    fn crawl(&self) -> CrawlId {
        CrawlId::at(&self.source, Timestamp::from_millis(1))
    }

    /// What the current pack of `host` holds: titles by path, as stock SQLite reads them.
    async fn pages(&self, host: &str) -> Option<BTreeMap<String, String>> {
        let host = Host::new(host).unwrap();
        let manifest = self.archive.manifest(&host).await.unwrap()?;
        let file = self
            .folder
            .path()
            .join(format!("{}.sqlite", manifest.current.checksum));
        self.archive
            .fetch_pack(&host, &manifest.current.checksum, &file)
            .await
            .unwrap();
        let pack = rusqlite::Connection::open(file).unwrap();
        let mut query = pack.prepare("SELECT url, title FROM pages").unwrap();
        let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let pages = query.query_map([], row).unwrap().map(Result::unwrap);
        let path = |url: &str| PageUrl::parse(url).unwrap().path().to_owned();
        Some(pages.map(|(url, title)| (path(&url), title)).collect())
    }
}

/// A host that cannot be packed would be waited for as long as that lasts.
async fn flush(packer: &Packer) {
    let flushed = tokio::time::timeout(Duration::from_secs(30), packer.flush()).await;
    flushed
        .unwrap_or_else(|_| panic!("not published: {:?}", packer.status()))
        .unwrap();
}

fn pages(pages: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
    Some(
        pages
            .iter()
            .map(|&(path, title)| (path.to_owned(), title.to_owned()))
            .collect(),
    )
}

/// Waits until `condition` gives something; a minute is long enough on any machine.
async fn eventually<T>(mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..6_000 {
        if let Some(value) = condition().await {
            return value;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the condition did not come true");
}

#[tokio::test]
async fn the_newest_of_every_item_is_packed_and_what_is_gone_is_not() {
    let world = World::new().await;
    world.apply("alice.gov", "/a", 10, Some("first")).await;
    world.apply("alice.gov", "/b", 10, Some("kept")).await;
    world.apply("alice.gov", "/c", 10, Some("gone")).await;
    world.apply("bob.gov", "/", 10, Some("other host")).await;
    world.apply("alice.gov", "/a", 20, Some("second")).await;
    world.apply("alice.gov", "/a", 15, Some("late and stale")).await;
    world.apply("alice.gov", "/c", 20, None).await;
    let packer = world.packer(|_| {}).await;
    flush(&packer).await;
    assert_eq!(
        world.pages("alice.gov").await,
        pages(&[("/a", "second"), ("/b", "kept")])
    );
    assert_eq!(world.pages("bob.gov").await, pages(&[("/", "other host")]));
    let (packages, _) = world.catalog.packages(None, 10).await.unwrap();
    let names: Vec<_> = packages.iter().map(|package| &*package.name).collect();
    assert_eq!(names, ["pack/alice.gov", "pack/bob.gov"]);
    packer.stop().await.unwrap();
}

#[tokio::test]
async fn a_host_is_packed_when_its_crawl_says_so() {
    let world = World::new().await;
    let packer = world.packer(|options| options.idle = Duration::ZERO).await;
    world
        .tell(Control::CrawlStarted {
            crawl: world.crawl(),
            hosts: Vec::new(),
        })
        .await;
    packer.stop().await.unwrap();

    // A restart does not forget that the crawl runs: without that, the idle time of zero would pack at once.
    let packer = world.packer(|options| options.idle = Duration::ZERO).await;
    world.apply("alice.gov", "/", 10, Some("one")).await;
    world.apply("bob.gov", "/", 10, Some("two")).await;
    eventually(async || (packer.status().iter().map(|host| host.waiting).sum::<u64>() == 2).then_some(()))
        .await;
    let host = Host::new("bob.gov").unwrap();
    world
        .tell(Control::HostDone {
            crawl: world.crawl(),
            host,
            items: 1,
        })
        .await;
    eventually(async || world.pages("bob.gov").await).await;
    assert_eq!(world.pages("alice.gov").await, None);
    world
        .tell(Control::CrawlEnded {
            crawl: world.crawl(),
            ended: Ended::Completed,
        })
        .await;
    eventually(async || world.pages("alice.gov").await).await;
    packer.stop().await.unwrap();
}

#[tokio::test]
async fn a_quiet_host_is_packed_by_the_idle_timer() {
    let world = World::new().await;
    let packer = world
        .packer(|options| options.idle = Duration::from_millis(50))
        .await;
    world.apply("alice.gov", "/", 10, Some("one")).await;
    assert_eq!(eventually(async || world.pages("alice.gov").await).await.len(), 1);
    packer.stop().await.unwrap();
}

#[tokio::test]
async fn a_packer_that_dies_before_it_publishes_leaves_its_work_to_the_next() {
    let world = World::new().await;
    let first = world.packer(|_| {}).await;
    world.apply("alice.gov", "/", 10, Some("one")).await;
    eventually(async || {
        first
            .status()
            .first()
            .filter(|host| host.waiting == 1)
            .map(|_| ())
    })
    .await;
    first.stop().await.unwrap();
    assert_eq!(world.pages("alice.gov").await, None);
    let second = world.packer(|_| {}).await;
    assert!(!second.has_unpublished(&world.source, &[0; 4]).await.unwrap());
    let ends = world.applied_ends().await;
    assert!(second.has_unpublished(&world.source, &ends).await.unwrap());
    flush(&second).await;
    assert_eq!(world.pages("alice.gov").await, pages(&[("/", "one")]));
    second.stop().await.unwrap();

    // What is published is not read again.
    let third = world.packer(|_| {}).await;
    assert!(!third.has_unpublished(&world.source, &ends).await.unwrap());
    flush(&third).await;
    assert!(third.status().is_empty(), "{:?}", third.status());
    third.stop().await.unwrap();
}

#[tokio::test]
async fn equal_pages_make_no_new_pack_and_old_packs_go() {
    let world = World::new().await;
    let packer = world.packer(|options| options.keep_versions = 2).await;
    let host = Host::new("alice.gov").unwrap();
    for (at, text) in [(10, "one"), (20, "one"), (30, "two"), (40, "three")] {
        world.apply("alice.gov", "/", at, Some(text)).await;
        flush(&packer).await;
    }
    let manifest = world.archive.manifest(&host).await.unwrap().unwrap();
    assert_eq!((manifest.number, manifest.previous.len()), (3, 1));
    let file = world.folder.path().join("previous.sqlite");
    world
        .archive
        .fetch_pack(&host, &manifest.previous[0].checksum, &file)
        .await
        .unwrap();
    packer.stop().await.unwrap();
}

#[tokio::test]
async fn a_damaged_extract_costs_its_page_and_no_other() {
    let world = World::new().await;
    world.apply("alice.gov", "/a", 10, Some("one")).await;
    world.apply("alice.gov", "/b", 10, Some("two")).await;
    let url = PageUrl::parse("http://alice.gov/lost").unwrap();
    let lost = Applied {
        source: world.source.clone(),
        item: ItemId::new(url.as_str()).unwrap(),
        crawl: world.crawl(),
        version: Version::new(Timestamp::from_millis(10), Rank::Crawl, 0),
        write: 1,
        host: url.host(),
        at: Timestamp::from_millis(10),
        change: Change::Upsert {
            url,
            checksum: Checksum::of(b""),
            extract: model::ArchiveKey::new("extract/none.bundle#0+9").unwrap(),
        },
    };
    let entry = Entry {
        key: "lost".into(),
        scope: "alice.gov".into(),
        value: Some(lost),
    };
    world
        .log
        .append(&topics::applied(&world.source), &[entry])
        .await
        .unwrap();
    let packer = world.packer(|_| {}).await;
    flush(&packer).await;
    assert_eq!(
        world.pages("alice.gov").await,
        pages(&[("/a", "one"), ("/b", "two")])
    );
    packer.stop().await.unwrap();
}

#[tokio::test]
async fn a_failed_build_says_why_and_is_tried_again() {
    let world = World::new().await;
    let packer = world
        .packer(|options| options.retry = Duration::from_millis(50))
        .await;
    let work = world.folder.path().join("work");
    std::fs::remove_dir_all(&work).unwrap();
    world.apply("alice.gov", "/", 10, Some("one")).await;
    let host = Host::new("alice.gov").unwrap();
    world
        .tell(Control::HostDone {
            crawl: world.crawl(),
            host,
            items: 1,
        })
        .await;
    let reason = eventually(
        async || match packer.status().first().map(|host| host.stage.clone()) {
            Some(Stage::Failed(reason)) => Some(reason),
            _ => None,
        },
    );
    assert!(reason.await.contains("work"));
    std::fs::create_dir_all(&work).unwrap();
    eventually(async || world.pages("alice.gov").await).await;
    packer.stop().await.unwrap();
}

/// The seed's example: 1000, 10 and 100 pages, arriving in that order.
#[tokio::test]
async fn small_hosts_do_not_wait_for_large_ones() {
    let world = World::new().await;
    for (host, count) in [("alice.gov", 1_000), ("bob.gov", 10), ("clarice.gov", 100)] {
        for page in 0..count {
            world
                .apply(
                    host,
                    &format!("/{page}"),
                    10,
                    Some(&format!("page {page} of {host}")),
                )
                .await;
        }
    }
    let packer = world.packer(|options| options.workers = 1).await;
    flush(&packer).await;
    let mut published: Vec<_> = packer
        .status()
        .into_iter()
        .map(|host| (host.published_at, host.host))
        .collect();
    published.sort();
    let order: Vec<_> = published.iter().map(|(_, host)| host.as_str()).collect();
    assert_eq!(order, ["bob.gov", "clarice.gov", "alice.gov"]);
    assert!(
        published
            .iter()
            .all(|(at, _)| at.unwrap() <= Timestamp::from(SystemTime::now()))
    );
    packer.stop().await.unwrap();
}
