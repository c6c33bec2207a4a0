//! A file that an older program wrote opens, and everything in it is kept.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crawldb::testkit::{sample_crawl, sample_item, sample_settings};
use crawldb::{
    Crawl, CrawlStatus, CrawlTotals, Crawldb, DeletionCapability, Disposition, Document, IndexName, Item,
    ItemState, Orphan, Reference, RetryPolicy, Revision, Scan, Settings, SiteSettings, Source, SourceKind,
};
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};

const STATES: [ItemState; 9] = [
    ItemState::Pending,
    ItemState::InFlight,
    ItemState::Success,
    ItemState::Unchanged,
    ItemState::Failure,
    ItemState::Escalated,
    ItemState::OrphanCandidate,
    ItemState::Deleting,
    ItemState::Deleted,
];

/// A copy of the file of format 1, because opening it changes it.
fn copy(folder: &Path) -> PathBuf {
    let path = folder.join("crawl.db");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/format-1.db");
    std::fs::copy(fixture, &path).unwrap();
    path
}

fn id(name: &str) -> SourceId {
    SourceId::new(name).unwrap()
}

fn url(text: &str) -> PageUrl {
    PageUrl::parse(text).unwrap()
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn sources() -> [Source; 2] {
    let docs = Settings {
        site: SiteSettings {
            start: vec![url("https://a.example/")],
            max_depth: 7,
            ..SiteSettings::default()
        },
        retry: RetryPolicy {
            max_retries: 5,
            ..RetryPolicy::default()
        },
        deletion: DeletionCapability::Explicit,
        ..sample_settings("The documentation")
    };
    let objects = Settings {
        kind: SourceKind::Bucket {
            address: "s3://bucket/prefix/".into(),
        },
        site: SiteSettings {
            start: vec![url("https://objects.example/")],
            ..SiteSettings::default()
        },
        ..sample_settings("The bucket")
    };
    let docs = Source {
        revision: Revision(1),
        configuration: 3,
        lock_epoch: 4,
        last_crawl_start: Some(at(20_000)),
        active_crawls: vec![CrawlId::new("docs@20000").unwrap()],
        ..Source::new(id("docs"), docs, at(500))
    };
    let objects = Source {
        revision: Revision(1),
        ..Source::new(id("objects"), objects, at(0))
    };
    [docs, objects]
}

/// The crawls of `docs`; format 1 knew less of them.
fn crawls() -> [Crawl; 2] {
    let totals = CrawlTotals {
        seen: 9,
        new: 9,
        ..CrawlTotals::default()
    };
    let of_format_1 = |start| Crawl {
        revision: Revision(1),
        alive_until: at(0),
        ..sample_crawl("docs", start)
    };
    let old = Crawl {
        status: CrawlStatus::Completed,
        ended_at: Some(at(1_900)),
        fetches: 9,
        fetched_bytes: 12_345,
        processing_ms: 678,
        totals,
        reason: Some("done".into()),
        ..of_format_1(1_000)
    };
    let new = Crawl {
        epoch: 4,
        ..of_format_1(20_000)
    };
    [old, new]
}

fn item(crawl: &Crawl, host: &str, number: u32, state: ItemState) -> Item {
    let start = crawl.started_at;
    Item {
        revision: Revision(1),
        orphan: Some(Orphan {
            since: start,
            misses: 1,
            last: at(0),
        }),
        ruling: None,
        unread: None,
        ..sample_item(crawl, host, number, state)
    }
}

fn indexed(crawl: &Crawl, number: u32, state: ItemState) -> Item {
    Item {
        disposition: Some(Disposition::Indexed),
        ..item(crawl, "c.example", number, state)
    }
}

/// The items of both sources.
fn items() -> [Vec<Item>; 2] {
    let [old, new] = crawls();
    let mut docs = Vec::new();
    for (host, crawl) in [("a.example", &old), ("b.example", &new)] {
        docs.extend(
            STATES
                .iter()
                .zip(1..)
                .map(|(state, number)| item(crawl, host, number, *state)),
        );
    }
    docs.push(indexed(&new, 1, ItemState::Success));
    docs.push(indexed(&new, 2, ItemState::Unchanged));
    let crawl = sample_crawl("objects", 3_000);
    let other = Item {
        id: ItemId::new("another-id").unwrap(),
        ..indexed(&crawl, 3, ItemState::Success)
    };
    [docs, vec![other, indexed(&crawl, 2, ItemState::Success)]]
}

#[tokio::test]
async fn a_file_of_format_1_keeps_its_sources_and_crawls() {
    let folder = tempfile::tempdir().unwrap();
    let crawldb = Crawldb::open(&copy(folder.path())).unwrap();
    assert_eq!(crawldb.sources().await.unwrap(), sources());
    let [old, new] = crawls();
    assert_eq!(crawldb.crawls(Some(&id("docs")), 9).await.unwrap(), [new, old]);
    for source in sources() {
        let kept = crawldb.configurations(&source.id).await.unwrap();
        assert_eq!(
            (kept[0].number, &kept[0].settings),
            (source.configuration, &source.settings)
        );
    }
}

#[tokio::test]
async fn a_file_of_format_1_keeps_its_items() {
    let folder = tempfile::tempdir().unwrap();
    let crawldb = Crawldb::open(&copy(folder.path())).unwrap();
    for (name, items) in ["docs", "objects"].into_iter().zip(items()) {
        let source = id(name);
        assert_eq!(crawldb.items(&Scan::all(&source, 100)).await.unwrap(), items);
        let mut recount = BTreeMap::new();
        for item in &items {
            *recount.entry(item.state).or_insert(0) += 1;
            let alone = Scan {
                states: &[item.state],
                ..Scan::all(&source, 100)
            };
            assert!(
                crawldb.items(&alone).await.unwrap().contains(item),
                "the new indexes have it"
            );
        }
        let counts = crawldb.store().counts(&source, None).await.unwrap().by_state;
        let counts: BTreeMap<ItemState, u64> =
            counts.into_iter().map(|(state, (all, _))| (state, all)).collect();
        assert_eq!(counts, recount);
    }
}

#[tokio::test]
async fn what_was_searched_in_a_file_of_format_1_has_its_documents() {
    let folder = tempfile::tempdir().unwrap();
    let crawldb = Crawldb::open(&copy(folder.path())).unwrap();
    let [docs, objects] = items();
    let document = |items: &[&Item], revision| Document {
        url: items[0].url.clone(),
        revision: Revision(revision),
        references: items.iter().map(|item| Reference::of(item)).collect(),
    };
    let expected = [
        document(&[&docs[18]], 1),
        document(&[&docs[19], &objects[1]], 2),
        document(&[&objects[0]], 1),
    ];
    let (documents, index) = (crawldb.documents(), IndexName::default());
    assert_eq!(
        documents.scan_documents(&index, None, 10).await.unwrap(),
        expected
    );
    assert_eq!(documents.count_documents(&index).await.unwrap(), 3);
}

#[tokio::test]
async fn a_file_is_migrated_once_and_works_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = copy(folder.path());
    let first = Crawldb::open(&path).unwrap();
    let source = first.source(&id("docs")).await.unwrap().unwrap();
    let taken = first
        .take_over(&source.active_crawls[0], "new", at(50_000))
        .await
        .unwrap()
        .unwrap();
    first
        .end_crawl(&taken, CrawlStatus::Failed, None, at(60_000))
        .await
        .unwrap();
    drop(first);
    let second = Crawldb::open(&path).unwrap();
    assert_eq!(
        second.source(&id("docs")).await.unwrap().unwrap().active_crawls,
        []
    );
    assert_eq!(second.check().await.unwrap(), [""; 0]);
}
