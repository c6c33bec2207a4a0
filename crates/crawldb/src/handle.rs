use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{CrawlId, SourceId};

use crate::error::CrawldbError;
use crate::memory::MemoryStore;
use crate::port::{Store, StoreError, Written};
use crate::records::{Revision, Source};
use crate::sqlite::SqliteStore;

/// How often a compare-and-swap is tried again after another writer was faster.
pub(crate) const MAX_SWAPS: u32 = 32;

/// The crawl database. Cheap to clone; all clones work on the same store.
#[derive(Clone)]
pub struct Crawldb {
    pub(crate) store: Arc<dyn Store>,
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
        Ok(Self::new(Arc::new(SqliteStore::open(path)?)))
    }

    /// A database that lives as long as the handle.
    pub fn memory() -> Self {
        Self::new(Arc::new(MemoryStore::default()))
    }

    /// A database on any engine.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            figures: Arc::default(),
        }
    }

    /// The engine below.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
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

    /// Adds a source. Its revision, lock and crawl fields begin anew whatever they say.
    pub async fn add_source(&self, source: Source) -> Result<Source, CrawldbError> {
        let source = Source {
            revision: Revision::NEW,
            last_crawl_start: None,
            active_crawl: None,
            lock_epoch: 0,
            ..source
        };
        match self.store.put_source(&source).await? {
            Written::Done(revision) => Ok(Source { revision, ..source }),
            Written::Conflict(_) => Err(CrawldbError::Exists(source.id)),
        }
    }

    /// Changes the settings of a source: name, site, bucket, retry and deletion. What belongs to crawls stays.
    ///
    /// `source.configuration` must be the one that was read, else [`CrawldbError::Changed`]; it grows by one.
    pub async fn update_source(&self, source: Source) -> Result<Source, CrawldbError> {
        self.swap_source(&source.id, |stored| {
            if stored.configuration != source.configuration {
                return Err(CrawldbError::Changed(source.id.clone()));
            }
            Ok(Source {
                name: source.name.clone(),
                site: source.site.clone(),
                bucket: source.bucket.clone(),
                retry: source.retry.clone(),
                deletion: source.deletion,
                configuration: stored.configuration + 1,
                ..stored
            })
        })
        .await
    }

    /// The source, where there is one.
    pub async fn source(&self, id: &SourceId) -> Result<Option<Source>, CrawldbError> {
        Ok(self.store.get_source(id).await?)
    }

    /// All sources by id.
    pub async fn sources(&self) -> Result<Vec<Source>, CrawldbError> {
        Ok(self.store.list_sources().await?)
    }

    /// Deletes a source with its crawls and items; nothing where there is none. Refused while a crawl of it runs.
    pub async fn delete_source(&self, id: &SourceId) -> Result<(), CrawldbError> {
        let Some(source) = self.store.get_source(id).await? else {
            return Ok(());
        };
        if let Some(crawl) = self.running(&source).await? {
            return Err(CrawldbError::Running(crawl));
        }
        Ok(self.store.delete_source(id).await?)
    }

    /// The crawl that holds the source's lock, unless it is over.
    pub(crate) async fn running(&self, source: &Source) -> Result<Option<CrawlId>, StoreError> {
        let Some(id) = &source.active_crawl else {
            return Ok(None);
        };
        let crawl = self.store.get_crawl(id).await?;
        Ok(crawl
            .filter(|crawl| !crawl.status.is_over())
            .map(|crawl| crawl.id))
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
