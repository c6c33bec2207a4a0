use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{CrawlId, SourceId, Timestamp};

use crate::error::CrawldbError;
use crate::memory::MemoryStore;
use crate::port::{DocumentStore, Store, StoreError, Written};
use crate::records::{Configuration, Settings, Source};
use crate::sqlite::SqliteStore;

/// How often a compare-and-swap is tried again after another writer was faster.
pub(crate) const MAX_SWAPS: u32 = 32;

/// The crawl database. Cheap to clone; all clones work on the same store.
#[derive(Clone)]
pub struct Crawldb {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) documents: Arc<dyn DocumentStore>,
    pub(crate) figures: Arc<Figures>,
}

/// What this handle and its clones met so far.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    conflicts: AtomicU64,
    stale: AtomicU64,
}

impl Figures {
    pub(crate) fn add_conflicts(&self, count: u64) {
        self.conflicts.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn add_stale(&self, count: u64) {
        self.stale.fetch_add(count, Ordering::Relaxed);
    }
}

/// Writes that another writer was faster than, since the handle was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Races {
    /// Compare-and-swaps that found another revision; they were decided anew, or skipped by a claim.
    pub conflicts: u64,
    /// Attempts that were not applied because a newer write won or the lease was lost.
    pub stale: u64,
}

impl Crawldb {
    /// Opens the database file, and creates it (with its folder) where it does not exist.
    ///
    /// The file is an SQLite database in WAL mode: what a call wrote survives the death of the process. After a crash
    /// of the whole machine the last moments may be missing, but never half there.
    pub fn open(path: &Path) -> Result<Self, CrawldbError> {
        let store = Arc::new(SqliteStore::open(path)?);
        Ok(Self::new(Arc::clone(&store) as _, store))
    }

    /// A database that lives as long as the handle.
    pub fn memory() -> Self {
        let store = Arc::new(MemoryStore::default());
        Self::new(Arc::clone(&store) as _, store)
    }

    /// A database on any engines, which may be the same.
    pub fn new(store: Arc<dyn Store>, documents: Arc<dyn DocumentStore>) -> Self {
        Self {
            store,
            documents,
            figures: Arc::default(),
        }
    }

    /// The engine below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The engine that keeps the documents.
    pub fn documents(&self) -> &Arc<dyn DocumentStore> {
        &self.documents
    }

    /// How often other writers were faster.
    pub fn races(&self) -> Races {
        Races {
            conflicts: self.figures.conflicts.load(Ordering::Relaxed),
            stale: self.figures.stale.load(Ordering::Relaxed),
        }
    }

    /// Reads the whole store and says what is broken in it; nothing where all is well. Takes minutes on a large one.
    pub async fn check(&self) -> Result<Vec<String>, CrawldbError> {
        Ok(self.store.check().await?)
    }

    /// Adds a source.
    pub async fn add_source(
        &self,
        id: SourceId,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Source, CrawldbError> {
        let source = Source::new(id, settings, now);
        let Written::Done(revision) = self.store.put_source(&source).await? else {
            return Err(CrawldbError::Exists(source.id));
        };
        self.keep_configuration(&source, now).await?;
        Ok(Source { revision, ..source })
    }

    /// Changes the settings of a source; crawls that run go on with those that they began with.
    ///
    /// `configuration` must be the one that was read, else [`CrawldbError::Changed`]; it grows by one.
    pub async fn update_source(
        &self,
        id: &SourceId,
        configuration: u64,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Source, CrawldbError> {
        // Whoever made the one before may have died before it was kept.
        if let Some(stored) = self.store.get_source(id).await? {
            self.keep_configuration(&stored, now).await?;
        }
        let source = self
            .swap_source(id, |stored| {
                if stored.configuration != configuration {
                    return Err(CrawldbError::Changed(id.clone()));
                }
                Ok(Source {
                    settings: settings.clone(),
                    configuration: configuration + 1,
                    ..stored
                })
            })
            .await?;
        self.keep_configuration(&source, now).await?;
        Ok(source)
    }

    async fn keep_configuration(&self, source: &Source, now: Timestamp) -> Result<(), StoreError> {
        let configuration = Configuration {
            source: source.id.clone(),
            number: source.configuration,
            settings: source.settings.clone(),
            at: now,
        };
        self.store.put_configuration(&configuration).await
    }

    /// The configurations of a source by number. The newest may be missing for a moment: it is in the source.
    pub async fn configurations(&self, id: &SourceId) -> Result<Vec<Configuration>, CrawldbError> {
        Ok(self.store.list_configurations(id).await?)
    }

    /// The source, where there is one.
    pub async fn source(&self, id: &SourceId) -> Result<Option<Source>, CrawldbError> {
        Ok(self.store.get_source(id).await?)
    }

    /// All sources by id.
    pub async fn sources(&self) -> Result<Vec<Source>, CrawldbError> {
        Ok(self.store.list_sources().await?)
    }

    /// Says which process of its own looks after the source: the Microservice Configuration of the seed.
    pub async fn claim_source(&self, id: &SourceId, service: &str) -> Result<Source, CrawldbError> {
        self.swap_source(id, |stored| {
            Ok(Source {
                service: Some(service.to_owned()),
                ..stored
            })
        })
        .await
    }

    /// Marks a source as being deleted: nothing is crawled any more. Refused while a crawl of it runs.
    pub async fn begin_deletion(&self, id: &SourceId, now: Timestamp) -> Result<Source, CrawldbError> {
        let source = self.source(id).await?;
        let source = source.ok_or_else(|| CrawldbError::NoSource(id.clone()))?;
        if let Some(crawl) = self.running(&source).await?.pop() {
            return Err(CrawldbError::Running(crawl));
        }
        self.swap_source(id, |stored| {
            if let Some(crawl) = stored
                .active_crawls
                .first()
                .filter(|id| !source.active_crawls.contains(id))
            {
                return Err(CrawldbError::Running(crawl.clone()));
            }
            Ok(Source {
                deleting_since: stored.deleting_since.or(Some(now)),
                queued: Vec::new(),
                ..stored
            })
        })
        .await
    }

    /// Removes a source with its crawls and items; nothing where there is none. Its references in documents must be
    /// gone by then. Refused unless its deletion has begun.
    pub async fn delete_source(&self, id: &SourceId) -> Result<(), CrawldbError> {
        match self.store.get_source(id).await? {
            None => Ok(()),
            Some(source) if source.deleting_since.is_none() => Err(CrawldbError::NotDeleting(source.id)),
            Some(_) => Ok(self.store.delete_source(id).await?),
        }
    }

    /// The crawls that hold the source's lock and are not over.
    pub async fn running(&self, source: &Source) -> Result<Vec<CrawlId>, StoreError> {
        let mut running = Vec::new();
        for id in &source.active_crawls {
            let crawl = self.store.get_crawl(id).await?;
            running.extend(
                crawl
                    .filter(|crawl| !crawl.status.is_over())
                    .map(|crawl| crawl.id),
            );
        }
        Ok(running)
    }

    /// Changes the stored source by compare-and-swap; `change` is asked again when another writer was faster.
    pub(crate) async fn swap_source(
        &self,
        id: &SourceId,
        change: impl Fn(Source) -> Result<Source, CrawldbError>,
    ) -> Result<Source, CrawldbError> {
        for _ in 0..MAX_SWAPS {
            let stored = self.store.get_source(id).await?;
            let changed = change(stored.ok_or_else(|| CrawldbError::NoSource(id.clone()))?)?;
            match self.store.put_source(&changed).await? {
                Written::Done(revision) => return Ok(Source { revision, ..changed }),
                Written::Conflict(_) => self.figures.add_conflicts(1),
            }
        }
        Err(CrawldbError::Contention(format!("source {id}")))
    }
}

impl std::fmt::Debug for Crawldb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crawldb")
            .field("races", &self.races())
            .finish_non_exhaustive()
    }
}
