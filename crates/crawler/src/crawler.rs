use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use crawldb::{Crawl, CrawlKind, CrawlStatus, CrawldbError, Source, StartError, Started};
use ledger::LedgerError;
use model::{CrawlId, SourceId};
use prometheus_client::registry::Registry;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use updates::{LogError, topics};

use crate::applier::Applier;
use crate::conduct::conduct;
use crate::follow::{follow, work_along};
use crate::janitor::Janitor;
use crate::listen::{Runs, listen};
use crate::live;
use crate::metrics::Metrics;
use crate::options::{CrawlerDeps, CrawlerOptions};
use crate::patience::with_causes;
use crate::progress::Progress;
use crate::reach::Reach;
use crate::run::{Run, RunParts, Shared};
use crate::territory::{self, Territory};

/// Runs crawls. Cheap to clone; all clones are the same crawler. Its tasks run until [`stop`](Self::stop).
#[derive(Clone)]
pub struct Crawler {
    shared: Arc<Shared>,
    runs: Arc<Runs>,
    /// Crawls, which end by themselves or when they are asked to stop, and who looks for them.
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
    /// What was left undone could not be done.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The settings of the source cannot be used.
    #[error("the source {source_id} cannot be crawled: {reason}")]
    Settings {
        /// The source.
        source_id: SourceId,
        /// What to change.
        reason: String,
    },
    /// This process does not lead crawls, or not those of this source.
    #[error("this process does not lead crawls of source {0}; ask the one that does")]
    Elsewhere(SourceId),
    /// The crawler is stopping.
    #[error("the crawler is stopping; start it again first")]
    Stopping,
}

/// What became of the wish to crawl.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartedCrawl {
    /// It runs in this process.
    Running(CrawlId),
    /// It waits for others; so many are before it.
    Queued(usize),
}

/// Which crawls a process takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// All that are not over, at once, with every lease: for a process that is alone on its stores.
    All,
    /// Those whose process has given no sign of life for [`crawldb::CRAWL_LEASE`].
    Abandoned,
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
        let life = RandomState::new().hash_one(&deps.service);
        let shared = Arc::new(Shared {
            owner: format!("{}/{life:016x}", deps.service),
            territory: Territory::default(),
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
        crawler.crawls.spawn(listen(
            Arc::clone(&crawler.shared),
            Arc::clone(&crawler.runs),
            crawler.stop.clone(),
        ));
        crawler
            .crawls
            .spawn(follow(crawler.clone(), crawler.stop.clone()));
        if crawler.shared.options.listens {
            let live = live::listen(crawler.clone(), crawler.stop.clone());
            crawler.crawls.spawn(live);
        }
        if crawler.shared.options.upkeep {
            let janitor = crawler.janitor().work(crawler.stop.clone());
            crawler.crawls.spawn(janitor);
        }
        crawler
    }

    /// Does what has to be done now and then. A crawler with upkeep has one at work already.
    pub fn janitor(&self) -> Janitor {
        Janitor::new(self.clone())
    }

    /// Makes the crawler's figures part of what Prometheus reads.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.shared.metrics.register(registry);
    }

    /// Starts a crawl of the source in the background, or puts it behind the one that runs, as the source says.
    ///
    /// # Errors
    ///
    /// [`StartError::Running`] while another crawl of the source runs, in this process or another, and it says that
    /// there is to be one at a time.
    pub async fn start(&self, source: &SourceId, kind: CrawlKind) -> Result<StartedCrawl, CrawlError> {
        if !self.may_conduct(source) {
            return Err(CrawlError::Elsewhere(source.clone()));
        }
        let (settings, reach) = self.prepare(source).await?;
        let (crawldb, service) = (self.shared.deps.ledger.crawldb(), &self.shared.deps.service);
        let now = self.shared.options.clock.now();
        match crawldb.start_crawl(source, kind, service, now).await? {
            Started::Now(crawl) => {
                let id = self.lead(*crawl, settings, reach).await?;
                Ok(StartedCrawl::Running(id))
            }
            Started::Queued(before) => Ok(StartedCrawl::Queued(before)),
        }
    }

    /// Creates the topics of a source where they do not exist yet, so that it can be told of before its first crawl.
    pub async fn ensure_topics(&self, source: &SourceId) -> Result<(), CrawlError> {
        let log = self.shared.deps.ledger.log();
        topics::ensure_source(log, source, self.shared.options.partitions).await?;
        Ok(())
    }

    /// Starts, for every source of this process that is free, the crawl that has waited longest. Run it now and then:
    /// who ran the crawl before may not have been able to.
    pub async fn start_waiting(&self) -> Result<Vec<CrawlId>, CrawlError> {
        let mut started = Vec::new();
        for source in self.sources().await? {
            if !source.queued.is_empty() {
                started.extend(self.start_next(&source.id).await?);
            }
        }
        Ok(started)
    }

    async fn start_next(&self, source: &SourceId) -> Result<Option<CrawlId>, CrawlError> {
        if !self.may_conduct(source) || self.stop.is_cancelled() {
            return Ok(None);
        }
        let (settings, reach) = self.prepare(source).await?;
        if settings.queued.is_empty() {
            return Ok(None);
        }
        let (crawldb, service) = (self.shared.deps.ledger.crawldb(), &self.shared.deps.service);
        let now = self.shared.options.clock.now();
        match crawldb.start_queued(source, service, now).await {
            Ok(None) | Err(StartError::Running(_)) => Ok(None),
            Ok(Some(crawl)) => self.lead(crawl, settings, reach).await.map(Some),
            Err(error) => Err(error.into()),
        }
    }

    /// The source as it is, what its items are reached with, and its topics.
    async fn prepare(&self, source: &SourceId) -> Result<(Source, Reach), CrawlError> {
        let stored = self.shared.deps.ledger.crawldb().source(source).await?;
        let stored = stored.ok_or_else(|| StartError::NoSource(source.clone()))?;
        let reach = self.reach(&stored)?;
        self.ensure_topics(source).await?;
        Ok((stored, reach))
    }

    pub(crate) fn reach(&self, source: &Source) -> Result<Reach, CrawlError> {
        Reach::of(&self.shared, source).map_err(|reason| CrawlError::Settings {
            source_id: source.id.clone(),
            reason,
        })
    }

    /// Takes over crawls that another process, or an earlier life of this one, led. With [`Takeover::All`] call it
    /// first thing, and deletions that were approved meanwhile are carried out, too; crawls that are abandoned are
    /// looked for all the time anyway.
    pub async fn resume(&self, which: Takeover) -> Result<Vec<CrawlId>, CrawlError> {
        let mut resumed = Vec::new();
        for source in self.sources().await? {
            for id in &source.active_crawls {
                match self.resume_one(id, &source, which).await {
                    Err(error @ CrawlError::Settings { .. }) => {
                        tracing::error!(%error, "a source is left out");
                    }
                    taken => resumed.extend(taken?),
                }
            }
        }
        if which == Takeover::All {
            resumed.extend(self.resume_approved().await?);
        }
        Ok(resumed)
    }

    /// Goes on with crawls whose deletions a guard had stopped and a person has approved.
    async fn resume_approved(&self) -> Result<Vec<CrawlId>, CrawlError> {
        let ledger = &self.shared.deps.ledger;
        let mut resumed = Vec::new();
        for id in ledger.orphans_due(self.shared.options.clock.now()).await? {
            // Of those that are blocked, only approved ones are due.
            let crawl = ledger.crawldb().crawl(&id).await?;
            let is_blocked = crawl.is_some_and(|crawl| crawl.status == CrawlStatus::Blocked);
            if is_blocked && self.may_conduct(&id.source()) && self.judge_again(&id).await? {
                resumed.push(id);
            }
        }
        Ok(resumed)
    }

    async fn resume_one(
        &self,
        id: &CrawlId,
        source: &Source,
        which: Takeover,
    ) -> Result<Option<CrawlId>, CrawlError> {
        let stored = self.shared.deps.ledger.crawldb().crawl(id).await?;
        let Some(crawl) = stored.filter(|_| self.may_conduct(&source.id)) else {
            return Ok(None);
        };
        if which == Takeover::All {
            self.take_leases(source).await?;
        } else if !self.is_abandoned(&crawl) {
            return Ok(None);
        }
        if self.conducts(id) {
            return Ok(Some(id.clone()));
        }
        self.take_over(&crawl, source).await
    }

    /// Nobody else is there: what anybody holds or left half done is free.
    async fn take_leases(&self, source: &Source) -> Result<(), CrawlError> {
        let (ledger, now) = (&self.shared.deps.ledger, self.shared.options.clock.now());
        let crawldb = ledger.crawldb();
        crawldb
            .release_leases(&source.id, &self.shared.owner, now)
            .await?;
        ledger.recover(&source.id, Duration::ZERO, now).await?;
        Ok(())
    }

    /// Leads a crawl that another process led; none where the crawl is over, or a third process was faster.
    pub(crate) async fn take_over(
        &self,
        crawl: &Crawl,
        source: &Source,
    ) -> Result<Option<CrawlId>, CrawlError> {
        let (deps, now) = (&self.shared.deps, self.shared.options.clock.now());
        let reach = self.reach(source)?;
        topics::ensure_source(deps.ledger.log(), &source.id, self.shared.options.partitions).await?;
        let taken = deps
            .ledger
            .crawldb()
            .take_over(&crawl.id, &deps.service, now)
            .await;
        let crawl = match taken {
            Ok(Some(crawl)) => crawl,
            Ok(None) | Err(CrawldbError::Fenced(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if let Some(run) = self.run(&crawl.id).filter(|run| !run.is_over()) {
            run.promote(crawl.clone());
            self.spawn_conductor(run);
            return Ok(Some(crawl.id));
        }
        self.lead(crawl, source.clone(), reach).await.map(Some)
    }

    /// Judges the orphans of a crawl that is over once more; false where another crawl runs or has run since.
    pub(crate) async fn judge_again(&self, id: &CrawlId) -> Result<bool, CrawlError> {
        let (settings, reach) = self.prepare(&id.source()).await?;
        let (crawldb, service) = (self.shared.deps.ledger.crawldb(), &self.shared.deps.service);
        let now = self.shared.options.clock.now();
        let Some(crawl) = crawldb.reopen_for_orphans(id, service, now).await? else {
            return Ok(false);
        };
        self.lead(crawl, settings, reach).await?;
        Ok(true)
    }

    /// Leads the crawl from where it stands.
    async fn lead(&self, crawl: Crawl, source: Source, reach: Reach) -> Result<CrawlId, CrawlError> {
        let id = crawl.id.clone();
        let run = self.begin(crawl, source, reach, true).await?;
        self.spawn_conductor(run);
        Ok(id)
    }

    fn spawn_conductor(&self, run: Arc<Run>) {
        let crawler = self.clone();
        self.crawls.spawn(async move {
            let source = run.source.id.clone();
            conduct(Arc::clone(&crawler.shared), run).await;
            if let Err(error) = crawler.start_next(&source).await {
                tracing::warn!(%source, error = with_causes(&error), "the crawl that waits could not be started");
            }
        });
    }

    /// Works along on a crawl that another process leads.
    pub(crate) async fn join(&self, crawl: Crawl, source: &Source) -> Result<(), CrawlError> {
        let reach = self.reach(source)?;
        let run = self.begin(crawl, source.clone(), reach, false).await?;
        self.crawls.spawn(work_along(Arc::clone(&self.shared), run));
        Ok(())
    }

    async fn begin(
        &self,
        crawl: Crawl,
        source: Source,
        reach: Reach,
        conducts: bool,
    ) -> Result<Arc<Run>, CrawlError> {
        let ledger = &self.shared.deps.ledger;
        let scopes = ledger.crawldb().scopes(&crawl.id).await?;
        let partitions = ledger.log().watermarks(&topics::crawl(&source.id)).await?;
        let parts = RunParts {
            owner: self.shared.owner.clone(),
            conducts,
            items: scopes.iter().map(|scope| scope.items).sum(),
            crawl,
            source,
            reach,
            partitions: u32::try_from(partitions.len()).unwrap_or(u32::MAX),
        };
        let run = Arc::new(Run::new(parts, &self.shared.options, self.stop.child_token()));
        // Hosts that were added while the crawl ran have left their items.
        scopes.iter().for_each(|scope| run.bounds.add_host(&scope.scope));
        let mut runs = self.runs();
        if self.stop.is_cancelled() {
            return Err(CrawlError::Stopping);
        }
        runs.retain(|_, old| old.source.id != run.source.id || !old.is_over());
        runs.insert(run.crawl.id.clone(), Arc::clone(&run));
        drop(runs);
        let ground = territory::keep(Arc::clone(&self.shared), Arc::clone(&run));
        let end = run.lanes_end.clone();
        run.tasks
            .spawn(async move { end.run_until_cancelled(ground).await });
        Ok(run)
    }

    /// What a crawl is doing that this process leads or works along on; of crawls that ended, the newest of each
    /// source is known.
    pub fn progress(&self, crawl: &CrawlId) -> Option<watch::Receiver<Progress>> {
        self.run(crawl).map(|run| run.progress.subscribe())
    }

    /// Ends a crawl for good: requests that run have their grace, the rest is not fetched. Returns at once; false
    /// where this process does not lead it.
    pub fn cancel(&self, crawl: &CrawlId) -> bool {
        let run = self
            .run(crawl)
            .filter(|run| run.conducts() && !run.is_over() && !run.stop.is_cancelled());
        let Some(run) = run else {
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

    pub(crate) fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The sources that this process looks after.
    pub(crate) async fn sources(&self) -> Result<Vec<Source>, CrawldbError> {
        let mut sources = self.shared.deps.ledger.crawldb().sources().await?;
        sources.retain(|source| self.looks_after(&source.id));
        Ok(sources)
    }

    fn looks_after(&self, source: &SourceId) -> bool {
        let named = self.shared.options.sources.as_ref();
        named.is_none_or(|named| named.contains(source))
    }

    pub(crate) fn may_conduct(&self, source: &SourceId) -> bool {
        self.shared.options.conducts && self.looks_after(source)
    }

    /// Whether this process is to take the crawl over because the one that led it is gone.
    pub(crate) fn is_abandoned(&self, crawl: &Crawl) -> bool {
        let now = self.shared.options.clock.now();
        !crawl.status.is_over() && crawl.alive_until < now && self.may_conduct(&crawl.id.source())
    }

    /// Whether this process leads the crawl.
    pub(crate) fn conducts(&self, crawl: &CrawlId) -> bool {
        self.run(crawl)
            .is_some_and(|run| run.conducts() && !run.is_over())
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<CrawlId, Arc<Run>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn run(&self, crawl: &CrawlId) -> Option<Arc<Run>> {
        self.runs().get(crawl).cloned()
    }
}

impl std::fmt::Debug for Crawler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crawler")
            .field("service", &self.shared.deps.service)
            .finish_non_exhaustive()
    }
}
