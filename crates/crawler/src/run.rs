use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crawldb::{Crawl, CrawlStatus, CrawlTotals, Crawldb, CrawldbError, Item, ScopeCount, Sighting, Source};
use model::{ItemId, PageUrl};
use rustc_hash::FxHashMap;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounds::{Bounds, authority};
use crate::bucket::Bucket;
use crate::deliver::Delivery;
use crate::fetch::Fetcher;
use crate::gaps::Gaps;
use crate::lane::Lane;
use crate::leases::{self, is_foreign};
use crate::met::{Fingerprint, Fingerprinter, Met};
use crate::metrics::Metrics;
use crate::options::{CrawlerDeps, CrawlerOptions};
use crate::progress::Progress;
use crate::reach::Reach;
use crate::robots_cache::RobotsCache;
use crate::territory::{Ground, Territory};

/// What all crawls of one crawler share.
pub(crate) struct Shared {
    pub(crate) deps: CrawlerDeps,
    pub(crate) options: CrawlerOptions,
    pub(crate) metrics: Metrics,
    /// The name in the leases: another life of this process, or another process, has another one.
    pub(crate) owner: String,
    pub(crate) territory: Territory,
    /// One permit per request.
    pub(crate) connections: Semaphore,
    /// One permit per processor: more threads that extract would only take turns.
    pub(crate) processors: Arc<Semaphore>,
    /// To the one applier.
    pub(crate) applier: mpsc::Sender<Delivery>,
    /// Items that are claimed and not delivered: while there are some, the applier waits for company.
    pub(crate) working: AtomicUsize,
}

/// One crawl while this process works on it.
pub(crate) struct Run {
    /// The crawl as this process met it; what it writes under now is [`held`](Self::held).
    pub(crate) crawl: Crawl,
    held: RwLock<Arc<Crawl>>,
    /// Whether this process leads the crawl to its end; else it only works along.
    conducts: AtomicBool,
    pub(crate) source: Source,
    pub(crate) owner: String,
    pub(crate) bounds: Bounds,
    pub(crate) fetcher: Arc<Fetcher>,
    pub(crate) robots: Arc<RobotsCache>,
    /// Where the source is one: objects come from there, and the fetcher has nothing to do.
    pub(crate) bucket: Option<Arc<Bucket>>,
    pub(crate) prints: Fingerprinter,
    pub(crate) gaps: Gaps,
    met: Mutex<Met>,
    ground: Mutex<Ground>,
    lanes: Mutex<FxHashMap<String, Arc<Lane>>>,
    /// Items that this crawl saw.
    pub(crate) items: AtomicU64,
    /// Items that are claimed and not yet applied.
    pub(crate) busy: AtomicUsize,
    pub(crate) work: Work,
    /// What of it the history record has.
    recorded: AsyncMutex<crawldb::Work>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) current_host: Mutex<Option<String>>,
    /// The crawl is to stop here.
    pub(crate) stop: CancellationToken,
    /// Nothing new is fetched: the crawl is to stop, or everything is fetched.
    pub(crate) lanes_end: CancellationToken,
    /// Nothing is waited for any more.
    pub(crate) kill: CancellationToken,
    pub(crate) cancelled: AtomicBool,
    /// Why this process cannot go on with the crawl.
    broken: Mutex<Option<String>>,
    /// Whether another process leads the crawl now, or it is over: nothing more may be written.
    lost: AtomicBool,
    pub(crate) tasks: TaskTracker,
}

/// What a crawl cost so far in this process.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) fetches: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) micros: AtomicU64,
    /// Items that were written to the index.
    pub(crate) written: AtomicU64,
}

impl Work {
    pub(crate) fn add(&self, bytes: u64, took: Duration) {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// What the crawl's history record is to hear.
    pub(crate) fn so_far(&self) -> crawldb::Work {
        crawldb::Work {
            fetches: self.fetches.load(Ordering::Relaxed),
            fetched_bytes: self.bytes.load(Ordering::Relaxed),
            processing_ms: self.micros.load(Ordering::Relaxed) / 1_000,
            indexed: self.written.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn wrote_item(&self) {
        self.written.fetch_add(1, Ordering::Relaxed);
    }
}

/// What a new run begins with.
pub(crate) struct RunParts {
    pub(crate) crawl: Crawl,
    pub(crate) conducts: bool,
    pub(crate) source: Source,
    pub(crate) owner: String,
    pub(crate) reach: Reach,
    /// Of the topic with the source's requests.
    pub(crate) partitions: u32,
    pub(crate) items: u64,
}

impl Run {
    pub(crate) fn new(parts: RunParts, options: &CrawlerOptions, stop: CancellationToken) -> Self {
        Self {
            bounds: Bounds::new(&parts.source.settings.site),
            prints: Fingerprinter::default(),
            gaps: Gaps::default(),
            met: Mutex::new(Met::new(options.remembered_urls)),
            ground: Mutex::new(Ground::new(parts.partitions)),
            lanes: Mutex::default(),
            items: AtomicU64::new(parts.items),
            busy: AtomicUsize::new(0),
            work: Work::default(),
            recorded: AsyncMutex::default(),
            progress: watch::Sender::new(Progress::of(&parts.crawl)),
            current_host: Mutex::default(),
            lanes_end: stop.child_token(),
            stop,
            kill: CancellationToken::new(),
            cancelled: AtomicBool::new(false),
            broken: Mutex::default(),
            lost: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            held: RwLock::new(Arc::new(parts.crawl.clone())),
            conducts: AtomicBool::new(parts.conducts),
            crawl: parts.crawl,
            source: parts.source,
            owner: parts.owner,
            fetcher: parts.reach.fetcher,
            robots: parts.reach.robots,
            bucket: parts.reach.bucket,
        }
    }

    /// The crawl's record under which this process writes: as it was last heard of, with its epoch.
    pub(crate) fn held(&self) -> Arc<Crawl> {
        Arc::clone(&self.held.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The record has changed. One of an older epoch was read before the newer one.
    pub(crate) fn hold(&self, crawl: Crawl) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        if crawl.epoch >= held.epoch {
            *held = Arc::new(crawl);
        }
    }

    pub(crate) fn reach(&self) -> Reach {
        Reach {
            fetcher: Arc::clone(&self.fetcher),
            robots: Arc::clone(&self.robots),
            bucket: self.bucket.clone(),
        }
    }

    pub(crate) fn conducts(&self) -> bool {
        self.conducts.load(Ordering::Acquire)
    }

    /// From now on this process leads the crawl, under this record.
    pub(crate) fn promote(&self, crawl: Crawl) {
        self.hold(crawl);
        self.conducts.store(true, Ordering::Release);
    }

    /// A write was refused: another process took the crawl over, or the crawl is over. Answers whether this process may
    /// try again: who only works along does so for whoever leads.
    pub(crate) async fn fenced(&self, shared: &Shared) -> bool {
        if self.conducts() {
            self.lose("another process took the crawl over, or it was ended");
            return false;
        }
        match shared.deps.ledger.crawldb().crawl(&self.crawl.id).await {
            Ok(Some(crawl)) if !crawl.status.is_over() => {
                self.hold(crawl);
                true
            }
            Ok(_) => {
                self.lost.store(true, Ordering::Release);
                self.stop.cancel();
                false
            }
            Err(error) => {
                tracing::warn!(crawl = %self.crawl.id, %error, "the crawl's record could not be read, trying again");
                true
            }
        }
    }

    fn lose(&self, reason: &str) {
        self.lost.store(true, Ordering::Release);
        self.give_up(reason.to_owned());
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
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

    /// A new lane looks into the crawl database at once; one that is there is left as it is, and so are hosts that
    /// other processes work on.
    pub(crate) fn open_lane(self: &Arc<Self>, shared: &Arc<Shared>, scope: &str) {
        let ground = self.ground();
        if self.lanes_end.is_cancelled() || !ground.has(scope) {
            return;
        }
        let mut lanes = self.lanes();
        if !lanes.contains_key(scope) {
            lanes.insert(scope.to_owned(), Lane::open(shared, self, scope));
        }
    }

    /// Scopes with something to do get their lanes, even if the requests for them got lost.
    pub(crate) fn open_lanes(self: &Arc<Self>, shared: &Arc<Shared>, scopes: &[ScopeCount]) {
        for scope in scopes.iter().filter(|scope| scope.open > 0) {
            self.open_lane(shared, &scope.scope);
        }
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, FxHashMap<String, Arc<Lane>>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Always locked before the lanes.
    pub(crate) fn ground(&self) -> MutexGuard<'_, Ground> {
        self.ground.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the crawl's record what this process did since the last time. The conductor shows by it that it is alive.
    pub(crate) async fn record_work(&self, shared: &Shared) -> Result<(), CrawldbError> {
        let mut recorded = self.recorded.lock().await;
        let done = self.work.so_far();
        let work = crawldb::Work {
            fetches: done.fetches - recorded.fetches,
            fetched_bytes: done.fetched_bytes - recorded.fetched_bytes,
            processing_ms: done.processing_ms - recorded.processing_ms,
            indexed: done.indexed - recorded.indexed,
        };
        if work == crawldb::Work::default() && !self.conducts() {
            return Ok(());
        }
        let now = shared.options.clock.now();
        let crawldb: &Crawldb = shared.deps.ledger.crawldb();
        crawldb.add_work(&self.held(), work, now).await?;
        *recorded = done;
        Ok(())
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

    /// Publishes how far the crawl is.
    pub(crate) fn show(&self, status: CrawlStatus, totals: CrawlTotals, rate: f64) {
        let host = self
            .current_host
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        self.progress.send_modify(|progress| {
            progress.status = status;
            progress.totals = totals;
            progress.fetched_bytes = self.work.bytes.load(Ordering::Relaxed);
            progress.fetches = self.work.fetches.load(Ordering::Relaxed);
            progress.pages_per_second = rate;
            progress.current_host = host;
        });
    }

    /// Frees what only a running crawl needs; its progress is still asked for.
    pub(crate) fn forget(&self) {
        *self.met() = Met::new(0);
        if let Some(bucket) = &self.bucket {
            bucket.forget();
        }
        self.lanes().clear();
    }

    /// Whether nothing more will happen here; its progress may still be asked for.
    pub(crate) fn is_over(&self) -> bool {
        self.progress.borrow().is_final
    }

    pub(crate) fn broken(&self) -> Option<String> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.source.settings.site.request_timeout_ms)
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

impl Shared {
    /// Ends what of the crawl still runs here: what is under way has its grace, and what is not done by then is given
    /// back.
    pub(crate) async fn wind_down(&self, run: &Run) {
        run.lanes_end.cancel();
        run.tasks.close();
        if tokio::time::timeout(self.options.stop_grace, run.tasks.wait())
            .await
            .is_err()
        {
            run.kill.cancel();
            run.tasks.wait().await;
        }
        self.close(&run.crawl.id).await;
        run.forget();
        let (crawldb, now) = (self.deps.ledger.crawldb(), self.options.clock.now());
        let released = async {
            let own = |item: &Item| !is_foreign(item, &run.owner);
            let left = leases::leased(crawldb, &run.crawl.id, own).await?;
            leases::release(crawldb, &run.source.id, &left, now).await
        };
        if let Err(error) = released.await {
            tracing::warn!(crawl = %run.crawl.id, %error, "leases could not be given back; they will expire");
        }
    }
}

/// A web item is named by its URL.
pub(crate) fn item_id(url: &PageUrl) -> ItemId {
    ItemId::new(url.as_str())
        .expect("a page URL has 1 to 2048 bytes and no control characters, as an item id")
}
