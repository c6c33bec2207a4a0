use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crawldb::{Crawl, Item, Sighting, Source};
use model::{ItemId, PageUrl};
use rustc_hash::FxHashMap;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounds::{Bounds, authority};
use crate::bucket::Bucket;
use crate::deliver::Delivery;
use crate::fetch::Fetcher;
use crate::lane::Lane;
use crate::met::{Fingerprint, Fingerprinter, Met};
use crate::metrics::Metrics;
use crate::options::{CrawlerDeps, CrawlerOptions};
use crate::progress::Progress;
use crate::robots_cache::RobotsCache;

/// What all crawls of one crawler share.
pub(crate) struct Shared {
    pub(crate) deps: CrawlerDeps,
    pub(crate) options: CrawlerOptions,
    pub(crate) metrics: Metrics,
    /// One permit per request.
    pub(crate) connections: Semaphore,
    /// One permit per processor: more threads that extract would only take turns.
    pub(crate) processors: Arc<Semaphore>,
    /// To the one applier.
    pub(crate) applier: mpsc::Sender<Delivery>,
    /// Items that are claimed and not delivered: while there are some, the applier waits for company.
    pub(crate) working: AtomicUsize,
}

/// One crawl while it runs in this process.
pub(crate) struct Run {
    pub(crate) crawl: Crawl,
    pub(crate) source: Source,
    /// The name in the leases: another life of this process, or another process, has another one.
    pub(crate) owner: String,
    pub(crate) bounds: Bounds,
    pub(crate) fetcher: Fetcher,
    /// Where the source is one: objects come from there, and the fetcher has nothing to do.
    pub(crate) bucket: Option<Arc<Bucket>>,
    pub(crate) robots: RobotsCache,
    pub(crate) prints: Fingerprinter,
    met: Mutex<Met>,
    lanes: Mutex<FxHashMap<String, Arc<Lane>>>,
    /// Items that this crawl saw.
    pub(crate) items: AtomicU64,
    /// Items that are claimed and not yet applied.
    pub(crate) busy: AtomicUsize,
    pub(crate) work: Work,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) current_host: Mutex<Option<String>>,
    /// Nothing new is begun.
    pub(crate) stop: CancellationToken,
    /// Nothing is waited for any more.
    pub(crate) kill: CancellationToken,
    pub(crate) cancelled: AtomicBool,
    /// Why this process cannot go on with the crawl.
    broken: Mutex<Option<String>>,
    pub(crate) tasks: TaskTracker,
}

/// What a crawl cost so far in this process.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) fetches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) micros: AtomicU64,
}

impl Work {
    pub(crate) fn add(&self, bytes: u64, took: Duration) {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

/// What the pages of a source are fetched with.
pub(crate) struct Reach {
    pub(crate) fetcher: Fetcher,
    pub(crate) bucket: Option<Bucket>,
}

/// What a new run begins with.
pub(crate) struct RunParts {
    pub(crate) crawl: Crawl,
    pub(crate) source: Source,
    pub(crate) owner: String,
    pub(crate) reach: Reach,
    pub(crate) items: u64,
    pub(crate) progress: Progress,
}

impl Run {
    pub(crate) fn new(parts: RunParts, options: &CrawlerOptions, stop: CancellationToken) -> Self {
        Self {
            bounds: Bounds::new(&parts.source.site),
            robots: RobotsCache::new(options),
            prints: Fingerprinter::default(),
            met: Mutex::new(Met::new(options.remembered_urls)),
            lanes: Mutex::default(),
            items: AtomicU64::new(parts.items),
            busy: AtomicUsize::new(0),
            work: Work::default(),
            progress: watch::Sender::new(parts.progress),
            current_host: Mutex::default(),
            stop,
            kill: CancellationToken::new(),
            cancelled: AtomicBool::new(false),
            broken: Mutex::default(),
            tasks: TaskTracker::new(),
            crawl: parts.crawl,
            source: parts.source,
            owner: parts.owner,
            fetcher: parts.reach.fetcher,
            bucket: parts.reach.bucket.map(Arc::new),
        }
    }

    pub(crate) fn met(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is work for this scope: its lane looks into the crawl database. A new scope gets a lane.
    pub(crate) fn wake(self: &Arc<Self>, shared: &Arc<Shared>, scope: &str) {
        let lane = self.lanes().get(scope).cloned();
        match lane {
            Some(lane) => lane.wake(),
            None => self.open_lane(shared, scope),
        }
    }

    /// A new lane looks into the crawl database at once; one that is there is left as it is.
    pub(crate) fn open_lane(self: &Arc<Self>, shared: &Arc<Shared>, scope: &str) {
        if self.stop.is_cancelled() {
            return;
        }
        let mut lanes = self.lanes();
        if !lanes.contains_key(scope) {
            lanes.insert(scope.to_owned(), Lane::open(shared, self, scope));
        }
    }

    fn lanes(&self) -> MutexGuard<'_, FxHashMap<String, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the work of this process on the crawl; the first reason counts.
    pub(crate) fn give_up(&self, reason: String) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.is_none() {
            tracing::error!(crawl = %self.crawl.id, reason, "the crawl cannot go on");
            *broken = Some(reason);
        }
        self.stop.cancel();
    }

    /// Frees what only a running crawl needs; its progress is still asked for.
    pub(crate) fn forget(&self) {
        *self.met() = Met::new(0);
        if let Some(bucket) = &self.bucket {
            bucket.forget();
        }
        self.lanes().clear();
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.source.site.request_timeout_ms)
    }
}

/// A page that was found, with its fingerprint.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) print: Fingerprint,
    pub(crate) sighting: Sighting,
}

impl Found {
    /// A page at `depth` that `parent` names.
    pub(crate) fn new(prints: &Fingerprinter, url: PageUrl, parent: Option<&Item>, depth: u32) -> Self {
        let id = item_id(&url);
        let scope = authority(&url).to_owned();
        let parent = parent.map(|item| item.id.clone());
        let print = prints.of(url.as_str());
        Self {
            print,
            sighting: Sighting {
                id,
                url,
                scope,
                parent,
                depth,
                alias: None,
            },
        }
    }
}

/// A web item is named by its URL.
pub(crate) fn item_id(url: &PageUrl) -> ItemId {
    ItemId::new(url.as_str())
        .expect("a page URL has 1 to 2048 bytes and no control characters, as an item id")
}
