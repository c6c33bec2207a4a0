//! A source of pages, a crawl database, a log, and what a conductor does with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crawldb::transition::LiveWrite;
use crawldb::{
    Attempt, Crawl, CrawlKind, Crawldb, DocumentStore, Item, ItemError, ItemErrorKind, ItemState,
    OrphanReport, Outcome, RetryPolicy, Settings, Sighting, Source, Store,
};
use ledger::{Ledger, Presence, Sweep, Verify};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, Rank, SourceId, Timestamp, Version};
use tempfile::TempDir;
use updates::{UpdateLog, topics};

use crate::lagging::LaggingStore;

pub(crate) const HOST: &str = "docs.example";
const LEASE: Duration = Duration::from_secs(60);

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn id(name: &str) -> ItemId {
    ItemId::new(format!("https://{HOST}/{name}")).unwrap()
}

pub(crate) fn sighting(name: &str, parent: Option<&str>) -> Sighting {
    Sighting {
        id: id(name),
        url: PageUrl::parse(&format!("https://{HOST}/{name}")).unwrap(),
        scope: HOST.to_owned(),
        parent: parent.map(id),
        depth: 1,
        alias: None,
    }
}

/// The page as the source has it now.
pub(crate) fn page(content: &str) -> Outcome {
    Outcome::Applied {
        checksum: Some(Checksum::of(content.as_bytes())),
        disposition: crawldb::Disposition::Indexed,
        content: Some(ArchiveKey::new("content/a#0+9").unwrap()),
        extract: Some(ArchiveKey::new("extract/a#0+9").unwrap()),
        etag: None,
        last_modified: None,
    }
}

/// The page could not be read, at this time.
pub(crate) fn failure_at(millis: u64, retryable: bool) -> Outcome {
    Outcome::Failed {
        error: ItemError {
            kind: ItemErrorKind::Timeout,
            message: "too slow".into(),
            at: at(millis),
        },
        retry_after: None,
        retryable,
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Engine {
    Memory,
    Sqlite,
    Lagging,
}

pub(crate) struct World {
    pub(crate) crawldb: Crawldb,
    pub(crate) log: UpdateLog,
    pub(crate) ledger: Ledger,
    pub(crate) source: Source,
    _folder: Option<TempDir>,
}

/// A source that cannot be asked for single items.
pub(crate) struct Silent;

#[async_trait]
impl Verify for Silent {
    async fn verify(&self, _: &Item) -> Option<Presence> {
        None
    }
}

/// A source that answers the same for every item.
pub(crate) struct Says(pub(crate) Presence);

#[async_trait]
impl Verify for Says {
    async fn verify(&self, _: &Item) -> Option<Presence> {
        Some(self.0.clone())
    }
}

pub(crate) fn says_gone() -> Says {
    Says(Presence::Gone("HTTP 404".into()))
}

impl World {
    pub(crate) async fn on(engine: Engine) -> Self {
        let (crawldb, folder) = match engine {
            Engine::Memory => (Crawldb::memory(), None),
            Engine::Sqlite => {
                let folder = tempfile::tempdir().unwrap();
                (
                    Crawldb::open(&folder.path().join("crawl.db")).unwrap(),
                    Some(folder),
                )
            }
            Engine::Lagging => {
                let inner = Crawldb::memory();
                let documents = Arc::clone(inner.documents());
                let store = LaggingStore::new(Arc::clone(inner.store()));
                (Crawldb::new(Arc::new(store), documents), None)
            }
        };
        Self::with(crawldb, folder).await
    }

    async fn with(crawldb: Crawldb, folder: Option<TempDir>) -> Self {
        let log = UpdateLog::memory();
        let ledger = Ledger::new(crawldb.clone(), log.clone(), "first life");
        let docs = SourceId::new("docs").unwrap();
        let source = crawldb
            .add_source(docs, Settings::default(), at(1))
            .await
            .unwrap();
        topics::ensure_source(&log, &source.id, 2).await.unwrap();
        Self {
            crawldb,
            log,
            ledger,
            source,
            _folder: folder,
        }
    }

    /// The same world, in which calls go through other engines.
    pub(crate) fn through(
        &self,
        store: Arc<dyn Store>,
        documents: Arc<dyn DocumentStore>,
        log: UpdateLog,
        life: &str,
    ) -> Ledger {
        Ledger::new(Crawldb::new(store, documents), log, life)
    }

    pub(crate) async fn configure(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.source.settings.clone();
        change(&mut settings);
        let source = self
            .crawldb
            .update_source(&self.source.id, self.source.configuration, settings, at(1));
        self.source = source.await.unwrap();
    }

    pub(crate) async fn begin(&self, start: u64) -> Crawl {
        self.begin_kind(start, CrawlKind::Full).await
    }

    pub(crate) async fn begin_kind(&self, start: u64, kind: CrawlKind) -> Crawl {
        let started = self
            .crawldb
            .start_crawl(&self.source.id, kind, "conductor", at(start))
            .await;
        started.unwrap().crawl().unwrap()
    }

    /// The crawl finds these pages, below `parent`.
    pub(crate) async fn see(&self, crawl: &Crawl, parent: Option<&str>, names: &[&str]) {
        let sightings: Vec<Sighting> = names.iter().map(|name| sighting(name, parent)).collect();
        let now = crawl.started_at;
        self.ledger.sight(crawl, &sightings, now).await.unwrap();
    }

    pub(crate) async fn claim(&self, crawl: &Crawl) -> Vec<Item> {
        let now = at(crawl.started_at.as_millis() + 1);
        let claimed = self.crawldb.claim(crawl, None, "worker", LEASE, 1_000, now);
        claimed.await.unwrap()
    }

    /// Reads everything that is due; `answer` says what comes of each page.
    pub(crate) async fn read(&self, crawl: &Crawl, answer: impl Fn(&str) -> Outcome) {
        let claimed = self.claim(crawl).await;
        let name = |item: &Item| item.id.as_str().rsplit('/').next().unwrap().to_owned();
        let attempts = claimed.into_iter().map(|item| Attempt {
            outcome: answer(&name(&item)),
            item,
        });
        self.settle(crawl, attempts.collect()).await.unwrap();
    }

    pub(crate) async fn settle(
        &self,
        crawl: &Crawl,
        attempts: Vec<Attempt>,
    ) -> Result<Vec<crawldb::Finished>, ledger::LedgerError> {
        let now = at(crawl.started_at.as_millis() + 2);
        let retry = RetryPolicy::default();
        self.ledger
            .settle(crawl, attempts, &retry, now, &mut || 0.5)
            .await
    }

    /// The crawl has named everything: it notes where the live topic stands.
    pub(crate) async fn enumerated(&self, crawl: &Crawl) {
        let marks = self.log.watermarks(&topics::live(&self.source.id)).await.unwrap();
        let marks: Vec<u64> = marks.iter().map(|mark| mark.high).collect();
        let noted = self.crawldb.update_crawl(crawl, |crawl| {
            crawl.enumeration.ended_at = Some(crawl.started_at);
            crawl.marks.live_enumerated.clone_from(&marks);
        });
        noted.await.unwrap();
    }

    pub(crate) async fn sweep_with(
        &self,
        ledger: &Ledger,
        crawl: &Crawl,
        verify: &dyn Verify,
        now: u64,
    ) -> Result<OrphanReport, ledger::LedgerError> {
        let sweep = Sweep {
            crawl,
            source: &self.source,
            verify,
            clock: &|| at(now),
        };
        ledger.sweep(&sweep).await
    }

    pub(crate) async fn sweep(&self, crawl: &Crawl, verify: &dyn Verify) -> OrphanReport {
        let now = crawl.started_at.as_millis() + 500;
        self.sweep_with(&self.ledger, crawl, verify, now).await.unwrap()
    }

    /// Sweeps, and ends the crawl as the report says.
    pub(crate) async fn finish(&self, crawl: &Crawl, verify: &dyn Verify) -> OrphanReport {
        let report = self.sweep(crawl, verify).await;
        self.end(crawl, &report).await;
        report
    }

    pub(crate) async fn end(&self, crawl: &Crawl, report: &OrphanReport) {
        let now = at(crawl.started_at.as_millis() + 600);
        let ended = self.crawldb.end_crawl(crawl, report.ending(), None, now);
        ended.await.unwrap();
    }

    /// A crawl that sees and reads these pages and nothing else, of a source that cannot be asked for single items.
    pub(crate) async fn crawl(&self, start: u64, names: &[&str]) -> OrphanReport {
        let crawl = self.crawled(start, names).await;
        self.finish(&crawl, &Silent).await
    }

    /// The same, with the orphans left to the caller.
    pub(crate) async fn crawled(&self, start: u64, names: &[&str]) -> Crawl {
        let crawl = self.begin(start).await;
        self.see(&crawl, None, names).await;
        self.read(&crawl, page).await;
        self.enumerated(&crawl).await;
        crawl
    }

    /// The source tells of a page.
    pub(crate) async fn tell(&self, name: &str, when: u64, outcome: Outcome) {
        let found = sighting(name, None);
        let write = LiveWrite {
            id: found.id,
            url: found.url,
            scope: found.scope,
            version: Version::new(at(when), Rank::Live, 0),
            outcome,
        };
        let writes = [write];
        let told = self.ledger.apply_live(&self.source, &writes, at(when), 0.5);
        told.await.unwrap();
    }

    pub(crate) async fn item(&self, name: &str) -> Item {
        self.crawldb
            .item(&self.source.id, &id(name))
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn state(&self, name: &str) -> ItemState {
        self.item(name).await.state
    }

    /// The names of the pages that are searched.
    pub(crate) async fn searched(&self) -> BTreeSet<String> {
        let documents = self.crawldb.documents();
        documents.refresh_documents().await.unwrap();
        let index = documents.index_in_force().await.unwrap();
        let all = documents.scan_documents(&index, None, 10_000).await.unwrap();
        let alive = all.iter().filter(|document| document.is_alive());
        alive
            .map(|document| document.url.as_str().rsplit('/').next().unwrap().to_owned())
            .collect()
    }

    pub(crate) async fn assert_searched(&self, names: &[&str]) {
        let expected: BTreeSet<String> = names.iter().map(ToString::to_string).collect();
        assert_eq!(self.searched().await, expected);
    }

    /// The newest word of `applied` on each item: whether it exists.
    pub(crate) async fn applied(&self) -> BTreeMap<String, bool> {
        let topic = topics::applied(&self.source.id);
        let mut newest = BTreeMap::new();
        for number in 0..2 {
            let topic = topic.clone();
            let partition = updates::Partition { topic, number };
            for record in self.log.read(&partition, 0, 10_000).await.unwrap() {
                let applied: updates::Applied = record.decode().unwrap().unwrap();
                let exists = matches!(applied.change, updates::Change::Upsert { .. });
                newest.insert(record.key, exists);
            }
        }
        newest
    }
}
