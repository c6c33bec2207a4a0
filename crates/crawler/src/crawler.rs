use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crawldb::{Crawl, CrawldbError, Source, StartError};
use model::{CrawlId, SourceId};
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use updates::{LogError, topics};

use crate::announce::{self, ReannounceError};
use crate::applier::Applier;
use crate::bucket::{Bucket, BucketAddress};
use crate::conduct::conduct;
use crate::fetch::{FetchOptions, Fetcher, FetcherError};
use crate::listen::{Runs, listen};
use crate::metrics::Metrics;
use crate::options::{CrawlerDeps, CrawlerOptions};
use crate::patience::with_causes;
use crate::progress::Progress;
use crate::run::{Reach, Run, RunParts, Shared};

/// Runs crawls. Cheap to clone; all clones are the same crawler. Its tasks run until [`stop`](Self::stop).
#[derive(Clone)]
pub struct Crawler {
    shared: Arc<Shared>,
    runs: Arc<Runs>,
    /// Crawls: they end by themselves or when they are asked to stop.
    crawls: TaskTracker,
    stop: CancellationToken,
}

/// Why a crawl was not begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrawlError {
    /// The crawl database refused it.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The crawl database failed.
    #[error(transparent)]
    Crawldb(#[from] CrawldbError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The settings of the source cannot be used.
    #[error("the source {source_id} cannot be crawled: {reason}")]
    Settings {
        /// The source.
        source_id: SourceId,
        /// What to change.
        reason: String,
    },
    /// The crawler is stopping.
    #[error("the crawler is stopping; start it again first")]
    Stopping,
}

impl From<ReannounceError> for CrawlError {
    fn from(error: ReannounceError) -> Self {
        match error {
            ReannounceError::Log(error) => error.into(),
            ReannounceError::Crawldb(error) => error.into(),
        }
    }
}

impl Crawler {
    /// A crawler that works on nothing yet. Needs the tokio runtime that it is to run in.
    pub fn new(deps: CrawlerDeps, options: CrawlerOptions) -> Self {
        // What was chosen before stands; without a choice a program that knows two providers could not connect.
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let (applier, inbox) = mpsc::channel(options.batch_items.max(1) * 2);
        let shared = Arc::new(Shared {
            connections: Semaphore::new(options.max_connections.max(1)),
            processors: Arc::new(Semaphore::new(processors)),
            metrics: Metrics::new(),
            working: 0.into(),
            deps,
            options,
            applier,
        });
        let crawler = Self {
            shared,
            runs: Arc::default(),
            crawls: TaskTracker::new(),
            stop: CancellationToken::new(),
        };
        tokio::spawn(Applier::new(Arc::clone(&crawler.shared), inbox).run());
        tokio::spawn(listen(
            Arc::clone(&crawler.shared),
            Arc::clone(&crawler.runs),
            crawler.stop.clone(),
        ));
        crawler
    }

    /// Makes the crawler's figures part of what Prometheus reads.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
    }

    /// Starts a crawl of the source in the background.
    ///
    /// # Errors
    ///
    /// [`StartError::Running`] while another crawl of the source runs, in this process or another.
    pub async fn start(&self, source: &SourceId) -> Result<CrawlId, CrawlError> {
        let now = self.shared.options.clock.now();
        let settings = self.shared.deps.crawldb.source(source).await?;
        let settings = settings.ok_or_else(|| StartError::NoSource(source.clone()))?;
        let reach = self.reach(&settings)?;
        topics::ensure_source(&self.shared.deps.log, source, self.shared.options.partitions).await?;
        let crawl = self
            .shared
            .deps
            .crawldb
            .start_crawl(source, &self.shared.deps.service, now)
            .await?;
        self.begin(crawl, settings, reach, 0).await
    }

    /// Takes over the crawls that ran when this service, or the one before it, ended: call it once, first thing. Only
    /// one process may run crawls on one crawl database.
    pub async fn resume(&self) -> Result<Vec<CrawlId>, CrawlError> {
        let mut resumed = Vec::new();
        for source in self.shared.deps.crawldb.sources().await? {
            resumed.extend(self.resume_one(source).await?);
        }
        Ok(resumed)
    }

    async fn resume_one(&self, source: Source) -> Result<Option<CrawlId>, CrawlError> {
        let (deps, now) = (&self.shared.deps, self.shared.options.clock.now());
        let reach = match self.reach(&source) {
            Ok(reach) => reach,
            Err(error) => {
                tracing::error!(%error, "a source is left out");
                return Ok(None);
            }
        };
        let Some(crawl) = deps.crawldb.take_over(&source.id, &deps.service, now).await? else {
            return Ok(None);
        };
        topics::ensure_source(&deps.log, &source.id, self.shared.options.partitions).await?;
        deps.crawldb
            .release_leases(&source.id, &owner(&crawl), now)
            .await?;
        let again = announce::reannounce(&deps.log, &deps.crawldb, &source.id).await?;
        let totals = deps.crawldb.totals(&crawl.id).await?;
        tracing::info!(crawl = %crawl.id, announced_again = again, open = totals.open, "the crawl goes on");
        self.begin(crawl, source, reach, totals.seen).await.map(Some)
    }

    fn reach(&self, source: &Source) -> Result<Reach, CrawlError> {
        let invalid = |reason: String| CrawlError::Settings {
            source_id: source.id.clone(),
            reason,
        };
        let fetcher = self.fetcher(source);
        let fetcher = fetcher.map_err(|error| invalid(with_causes(&error)))?;
        let bucket = source
            .bucket
            .as_deref()
            .map(|address| self.bucket(source, address));
        let bucket = bucket.transpose().map_err(invalid)?;
        Ok(Reach { fetcher, bucket })
    }

    fn fetcher(&self, source: &Source) -> Result<Fetcher, FetcherError> {
        let (site, options) = (&source.site, &self.shared.options);
        Fetcher::new(&FetchOptions {
            user_agent: &options.user_agent,
            connect_timeout: options.connect_timeout,
            request_timeout: Duration::from_millis(site.request_timeout_ms),
            allow_private_addresses: site.allow_private_addresses,
            overrides: &site.resolve,
        })
    }

    fn bucket(&self, source: &Source, address: &str) -> Result<Bucket, String> {
        let [base] = source.site.start.as_slice() else {
            return Err("a bucket has one start URL, its base".to_owned());
        };
        let address = BucketAddress::new(address, Some(base)).map_err(|error| with_causes(&error))?;
        let access = self.shared.deps.buckets.clone();
        let access = access.ok_or_else(|| "buckets are not set up here".to_owned())?;
        let timeout = Duration::from_millis(source.site.request_timeout_ms);
        Ok(Bucket::new(address, access, timeout))
    }

    async fn begin(
        &self,
        crawl: Crawl,
        source: Source,
        reach: Reach,
        items: u64,
    ) -> Result<CrawlId, CrawlError> {
        let deps = &self.shared.deps;
        let scopes = deps.crawldb.scopes(&crawl.id).await?;
        let id = crawl.id.clone();
        let progress = Progress::of(&crawl);
        let parts = RunParts {
            owner: owner(&crawl),
            crawl,
            source,
            reach,
            items,
            progress,
        };
        let run = Arc::new(Run::new(parts, &self.shared.options, self.stop.child_token()));
        // Hosts that were added while the crawl ran have left their items.
        scopes.iter().for_each(|scope| run.bounds.add_host(&scope.scope));
        {
            let mut runs = self.runs();
            if self.stop.is_cancelled() {
                return Err(CrawlError::Stopping);
            }
            runs.insert(run.source.id.clone(), Arc::clone(&run));
        }
        self.crawls.spawn(conduct(Arc::clone(&self.shared), run));
        Ok(id)
    }

    /// What a crawl of this process is doing; of crawls that ended, the newest of each source is known.
    pub fn progress(&self, crawl: &CrawlId) -> Option<watch::Receiver<Progress>> {
        self.run(crawl).map(|run| run.progress.subscribe())
    }

    /// Ends a crawl for good: requests that run have their grace, the rest is not fetched. Returns at once; false
    /// where no such crawl runs here.
    pub fn cancel(&self, crawl: &CrawlId) -> bool {
        let Some(run) = self.run(crawl).filter(|run| !run.stop.is_cancelled()) else {
            return false;
        };
        run.cancelled.store(true, Ordering::Release);
        run.stop.cancel();
        true
    }

    /// Stops in order: nothing new begins, requests that run have their grace, what they brought is written, the rest
    /// is given back. The crawls can be resumed.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.crawls.close();
        self.crawls.wait().await;
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<SourceId, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, crawl: &CrawlId) -> Option<Arc<Run>> {
        self.runs()
            .get(&crawl.source())
            .filter(|run| run.crawl.id == *crawl)
            .cloned()
    }
}

/// The name in the leases: another epoch is another owner.
fn owner(crawl: &Crawl) -> String {
    format!("{}/{}", crawl.service, crawl.epoch)
}

impl std::fmt::Debug for Crawler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crawler")
            .field("service", &self.shared.deps.service)
            .finish_non_exhaustive()
    }
}
