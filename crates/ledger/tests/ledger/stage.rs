//! A crawl database and a log with two sources that share URLs, and what must hold of them when all is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crawldb::testkit::{FaultyStore, Moment, sample_settings};
use crawldb::transition::LiveWrite;
use crawldb::{
    Attempt, Body, Crawl, CrawlKind, CrawlStatus, Crawldb, Disposition, Document, IndexName, Item, ItemError,
    ItemErrorKind, ItemState, Outcome, Reference, RetryPolicy, Scan, Settings, Sighting, Source,
};
use ledger::{Ledger, LedgerError};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, Rank, SourceId, Timestamp, Version};
use updates::{Applied, Change, LogOptions, Partition, Record, UpdateLog, topics};

use crate::faulty::{Fault, FaultyDocuments, FaultyLog, Meanwhile};

pub(crate) const PARTITIONS: u32 = 3;

/// Which of the stores fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Store,
    Documents,
    Log,
}

pub(crate) struct Stage {
    pub(crate) crawldb: Crawldb,
    pub(crate) log: UpdateLog,
    pub(crate) ledger: Ledger,
    clock: Arc<AtomicU64>,
    lives: AtomicU64,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(Crawldb::memory()).await
    }

    pub(crate) async fn with(crawldb: Crawldb) -> Self {
        let clock = Arc::new(AtomicU64::new(1_000));
        let tick = Arc::clone(&clock);
        let log = UpdateLog::memory_with(LogOptions {
            clock: Arc::new(move || Timestamp::from_millis(tick.load(Ordering::SeqCst))),
            ..LogOptions::default()
        });
        let stage = Self {
            ledger: Ledger::new(crawldb.clone(), log.clone(), "test"),
            crawldb,
            log,
            clock,
            lives: AtomicU64::new(0),
        };
        for name in ["east", "west"] {
            stage.add_source(name).await;
        }
        stage
    }

    async fn add_source(&self, name: &str) {
        let settings = Settings {
            retry: RetryPolicy {
                max_retries: 1,
                ..RetryPolicy::default()
            },
            ..sample_settings(name)
        };
        self.crawldb
            .add_source(source_id(name), settings, self.now())
            .await
            .unwrap();
        topics::ensure_source(&self.log, &source_id(name), PARTITIONS)
            .await
            .unwrap();
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn pass_time(&self, time: Duration) {
        self.clock.fetch_add(time.as_millis() as u64, Ordering::SeqCst);
    }

    pub(crate) async fn source(&self, name: &str) -> Source {
        self.crawldb.source(&source_id(name)).await.unwrap().unwrap()
    }

    /// A ledger on the same stores of which the `fails_at`-th call to one fails, and how many calls there were.
    pub(crate) fn faulty(
        &self,
        place: Place,
        fails_at: u64,
        moment: Moment,
    ) -> (Ledger, impl Fn() -> u64 + use<>) {
        let never = u64::MAX;
        let at = |here| if here == place { fails_at } else { never };
        let store = Arc::new(FaultyStore::new(
            Arc::clone(self.crawldb.store()),
            at(Place::Store),
            moment,
        ));
        let documents = Arc::new(FaultyDocuments {
            inner: Arc::clone(self.crawldb.documents()),
            fault: Fault::at(at(Place::Documents), moment),
            meanwhile: Meanwhile::nothing(),
        });
        let log = Arc::new(FaultyLog {
            inner: self.log.clone(),
            fault: Fault::at(at(Place::Log), moment),
            meanwhile: Meanwhile::nothing(),
        });
        let life = self.lives.fetch_add(1, Ordering::SeqCst);
        let crawldb = Crawldb::new(Arc::clone(&store) as _, Arc::clone(&documents) as _);
        let ledger = Ledger::new(
            crawldb,
            UpdateLog::new(Arc::clone(&log) as _),
            &format!("life-{life}"),
        );
        let calls = move || match place {
            Place::Store => store.calls(),
            Place::Documents => documents.fault.calls.load(Ordering::SeqCst),
            Place::Log => log.fault.calls.load(Ordering::SeqCst),
        };
        (ledger, calls)
    }

    pub(crate) async fn start_crawl(&self, name: &str) -> Crawl {
        self.pass_time(Duration::from_secs(1));
        let started = self
            .crawldb
            .start_crawl(&source_id(name), CrawlKind::Full, "test", self.now())
            .await
            .unwrap();
        let crawl = started.crawl().unwrap();
        let live = self.ends(&topics::live(&source_id(name))).await;
        let applied = self.ends(&topics::applied(&source_id(name))).await;
        self.crawldb
            .update_crawl(&crawl, |crawl| {
                crawl.marks.live_start.clone_from(&live);
                crawl.marks.applied_start.clone_from(&applied);
            })
            .await
            .unwrap()
    }

    pub(crate) async fn end_crawl(&self, crawl: &Crawl, status: CrawlStatus) {
        self.crawldb
            .end_crawl(crawl, status, None, self.now())
            .await
            .unwrap();
    }

    pub(crate) async fn ends(&self, topic: &str) -> Vec<u64> {
        let marks = self.log.watermarks(topic).await.unwrap();
        marks.iter().map(|marks| marks.high).collect()
    }

    /// What was claimed of the pages with these numbers, with what came of each.
    pub(crate) async fn attempts(&self, crawl: &Crawl, pages: &[(u32, Outcome)]) -> Vec<Attempt> {
        let sightings: Vec<Sighting> = pages.iter().map(|(page, _)| sighting(*page)).collect();
        self.ledger.sight(crawl, &sightings, self.now()).await.unwrap();
        let lease = Duration::from_secs(60);
        let claimed = self
            .crawldb
            .claim(crawl, None, "worker", lease, 1_000, self.now())
            .await
            .unwrap();
        let outcome = |item: &Item| {
            let of = pages.iter().rev().find(|(page, _)| item_id(*page) == item.id);
            of.map_or(Outcome::Released, |(_, outcome)| outcome.clone())
        };
        let attempt = |item: Item| Attempt {
            outcome: outcome(&item),
            item,
        };
        claimed.into_iter().map(attempt).collect()
    }

    pub(crate) async fn settle(
        &self,
        ledger: &Ledger,
        crawl: &Crawl,
        attempts: Vec<Attempt>,
    ) -> Result<(), LedgerError> {
        let retry = self.source(crawl.id.source().as_str()).await.settings.retry;
        ledger
            .settle(crawl, attempts, &retry, self.now(), &mut || 0.5)
            .await
            .map(drop)
    }

    /// A crawl that finds these pages and ends.
    pub(crate) async fn crawl(&self, name: &str, pages: &[(u32, Outcome)]) -> Crawl {
        let crawl = self.start_crawl(name).await;
        let attempts = self.attempts(&crawl, pages).await;
        self.settle(&self.ledger, &crawl, attempts).await.unwrap();
        self.end_crawl(&crawl, CrawlStatus::Completed).await;
        crawl
    }

    pub(crate) async fn item(&self, name: &str, page: u32) -> Item {
        let item = self.crawldb.item(&source_id(name), &item_id(page)).await.unwrap();
        item.unwrap()
    }

    pub(crate) async fn items(&self, source: &SourceId) -> Vec<Item> {
        self.crawldb.items(&Scan::all(source, 10_000)).await.unwrap()
    }

    pub(crate) async fn index(&self) -> Vec<Document> {
        let index = self.crawldb.documents().index_in_force().await.unwrap();
        self.documents(&index).await
    }

    /// The documents of an index, comparable with those of another one.
    pub(crate) async fn documents(&self, index: &IndexName) -> Vec<Document> {
        let documents = self.crawldb.documents().scan_documents(index, None, 10_000);
        let without_revision = |document| Document {
            revision: crawldb::Revision::NEW,
            ..document
        };
        documents
            .await
            .unwrap()
            .into_iter()
            .map(without_revision)
            .collect()
    }

    /// Every record of a topic, in the order of each partition; none where a removal took the topic.
    pub(crate) async fn records(&self, topic: &str) -> Vec<Record> {
        let mut records = Vec::new();
        let topics = self.log.topics().await.unwrap();
        if !topics.iter().any(|known| known.name == topic) {
            return records;
        }
        for number in 0..PARTITIONS {
            let topic = topic.to_owned();
            let partition = Partition { topic, number };
            records.extend(self.log.read(&partition, 0, 10_000).await.unwrap());
        }
        records
    }

    pub(crate) async fn applied(&self, source: &SourceId) -> Vec<Applied> {
        let records = self.records(&topics::applied(source)).await;
        records
            .iter()
            .filter_map(|record| record.decode().unwrap())
            .collect()
    }

    /// The items whose newest record for people is no tombstone.
    async fn escalated(&self, source: &SourceId) -> BTreeSet<ItemId> {
        let mut escalated = BTreeSet::new();
        for record in self.records(&topics::escalated(source)).await {
            let id = ItemId::new(record.key).unwrap();
            match record.value {
                Some(_) => escalated.insert(id),
                None => escalated.remove(&id),
            };
        }
        escalated
    }

    pub(crate) async fn recover(&self) {
        for name in ["east", "west"] {
            let source = source_id(name);
            self.ledger
                .recover(&source, Duration::ZERO, self.now())
                .await
                .unwrap();
            let left = self.crawldb.store().list_intents(&source).await.unwrap();
            assert_eq!(left, [], "a recovery leaves no intent");
        }
    }

    /// The documents in force, and the newest record of each item, say what the items' records say (I4).
    pub(crate) async fn check_truth(&self, context: &str) {
        let mut expected: BTreeMap<(PageUrl, SourceId, ItemId), Body> = BTreeMap::new();
        for source in self.crawldb.sources().await.unwrap() {
            let source = source.id;
            let escalated = self.escalated(&source).await;
            let newest: BTreeMap<ItemId, Applied> = self
                .applied(&source)
                .await
                .into_iter()
                .map(|applied| (applied.item.clone(), applied))
                .collect();
            for item in self.items(&source).await {
                let body = Reference::of(&item).body;
                let told = newest.get(&item.id).and_then(|applied| body_of(&applied.change));
                assert_eq!(told, body, "{context}: the newest record of {}", item.id);
                let is_escalated = item.state == ItemState::Escalated;
                assert!(
                    !is_escalated || escalated.contains(&item.id),
                    "{context}: people know of {}",
                    item.id
                );
                expected.extend(body.map(|body| ((item.url, source.clone(), item.id), body)));
            }
        }
        let mut found = BTreeMap::new();
        for document in self.index().await {
            for present in document.present() {
                let key = (document.url.clone(), present.source.clone(), present.item.clone());
                found.insert(key, present.body.clone().unwrap());
            }
        }
        assert_eq!(
            found, expected,
            "{context}: documents follow from the items' records"
        );
    }
}

fn body_of(change: &Change) -> Option<Body> {
    match change {
        Change::Upsert {
            checksum, extract, ..
        } => Some(Body {
            checksum: *checksum,
            extract: extract.clone(),
        }),
        Change::Delete { .. } => None,
    }
}

pub(crate) fn source_id(name: &str) -> SourceId {
    SourceId::new(name).unwrap()
}

pub(crate) fn page_url(page: u32) -> PageUrl {
    PageUrl::parse(&format!("https://host-{}.example/{page}", page % 4)).unwrap()
}

pub(crate) fn item_id(page: u32) -> ItemId {
    ItemId::new(page_url(page).as_str()).unwrap()
}

pub(crate) fn sighting(page: u32) -> Sighting {
    Sighting {
        id: item_id(page),
        url: page_url(page),
        scope: page_url(page).host().to_string(),
        parent: None,
        depth: 0,
        alias: None,
    }
}

/// The page was read, with this text.
pub(crate) fn content(text: &str) -> Outcome {
    let key = |kind: &str| Some(ArchiveKey::new(format!("{kind}/{text}")).unwrap());
    Outcome::Applied {
        checksum: Some(Checksum::of(text.as_bytes())),
        disposition: Disposition::Indexed,
        content: key("content"),
        extract: key("extract"),
        etag: None,
        last_modified: None,
    }
}

/// The page was read, and its owner asks not to index it.
pub(crate) fn noindex() -> Outcome {
    Outcome::Applied {
        checksum: Some(Checksum::of(b"noindex")),
        disposition: Disposition::Noindex,
        content: None,
        extract: None,
        etag: None,
        last_modified: None,
    }
}

pub(crate) fn gone() -> Outcome {
    Outcome::Gone { reason: "404".into() }
}

pub(crate) fn failure(retryable: bool) -> Outcome {
    Outcome::Failed {
        error: ItemError {
            kind: ItemErrorKind::Server,
            message: "it is broken".into(),
            at: Timestamp::from_millis(1),
        },
        retry_after: None,
        retryable,
    }
}

/// A live update of this millisecond.
pub(crate) fn live(page: u32, at: u64, outcome: Outcome) -> LiveWrite {
    LiveWrite {
        id: item_id(page),
        url: page_url(page),
        scope: page_url(page).host().to_string(),
        version: Version::new(Timestamp::from_millis(at), Rank::Live, 0),
        outcome,
    }
}
