use std::num::NonZeroUsize;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use model::Checksum;
use prometheus_client::metrics::gauge::Gauge;

use crate::SearchError;
use crate::files::PackFile;
use crate::layout::Layout;
use crate::searcher::Searcher;

/// Queries after which a searcher is closed, with the words it remembers.
const MAX_USES: u32 = 10_000;

/// The packs that are open: at most so many, the longest unused is closed first.
pub(crate) struct Shelf {
    packs: Mutex<LruCache<Checksum, Arc<OpenPack>>>,
    /// Held while a pack is opened, so that it is opened once.
    opening: Mutex<()>,
    open: Gauge,
}

impl Shelf {
    pub(crate) fn new(max_open: NonZeroUsize, open: Gauge) -> Self {
        Self {
            packs: Mutex::new(LruCache::new(max_open)),
            opening: Mutex::new(()),
            open,
        }
    }

    /// The pack, opened where it is not.
    pub(crate) fn get(&self, file: &Arc<PackFile>) -> Result<Arc<OpenPack>, SearchError> {
        if let Some(pack) = lock(&self.packs).get(&file.checksum) {
            return Ok(Arc::clone(pack));
        }
        let _opening = lock(&self.opening);
        if let Some(pack) = lock(&self.packs).get(&file.checksum) {
            return Ok(Arc::clone(pack));
        }
        let pack = Arc::new(OpenPack::open(Arc::clone(file))?);
        let mut packs = lock(&self.packs);
        // One that is not current any more is for this query only.
        let evicted = if file.is_retired() {
            None
        } else {
            packs.push(file.checksum, Arc::clone(&pack))
        };
        self.open.set(packs.len().cast_signed() as i64);
        drop(packs);
        drop(evicted);
        Ok(pack)
    }

    /// Closes a pack as soon as the queries that use it are done.
    pub(crate) fn remove(&self, checksum: &Checksum) {
        let mut packs = lock(&self.packs);
        let removed = packs.pop(checksum);
        self.open.set(packs.len().cast_signed() as i64);
        drop(packs);
        drop(removed);
    }
}

/// An open pack with its idle searchers.
pub(crate) struct OpenPack {
    idle: Mutex<Vec<Used>>,
    layout: Arc<Layout>,
    // Last, so that the file goes after the connections to it.
    pub(crate) file: Arc<PackFile>,
}

struct Used {
    searcher: Searcher,
    uses: u32,
}

impl OpenPack {
    fn open(file: Arc<PackFile>) -> Result<Self, SearchError> {
        let searcher = Searcher::first(&file.path)?;
        let layout = Arc::clone(searcher.layout());
        Ok(Self {
            idle: Mutex::new(vec![Used { searcher, uses: 0 }]),
            layout,
            file,
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// A searcher for one query; there are never more than queries at a time.
    pub(crate) fn searcher(&self) -> Result<Lent<'_>, SearchError> {
        let idle = lock(&self.idle).pop();
        let used = match idle {
            Some(used) => used,
            None => {
                let searcher = Searcher::another(&self.file.path, Arc::clone(&self.layout))?;
                Used { searcher, uses: 0 }
            }
        };
        Ok(Lent {
            used: Some(used),
            pack: self,
        })
    }
}

/// A searcher that goes back to its pack.
pub(crate) struct Lent<'a> {
    used: Option<Used>,
    pack: &'a OpenPack,
}

impl Deref for Lent<'_> {
    type Target = Searcher;

    fn deref(&self) -> &Searcher {
        &self
            .used
            .as_ref()
            .expect("it is taken away only when this is dropped")
            .searcher
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Searcher {
        &mut self
            .used
            .as_mut()
            .expect("it is taken away only when this is dropped")
            .searcher
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(mut used) = self.used.take() {
            used.uses += 1;
            if used.uses < MAX_USES {
                lock(&self.pack.idle).push(used);
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
