//! The course of one crawl: announced, enumerated, processed, ended.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crawldb::{
    CrawlStatus, CrawlTotals, CrawldbError, Disposition, Item, ItemState, Scan, Scope, ScopeCount,
};
use model::{Host, ItemId};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use updates::{Ended, LogError};

use crate::announce;
use crate::bucket::BucketAddress;
use crate::enumerate;
use crate::patience::with_causes;
use crate::run::{Run, Shared, item_id};

/// How often progress is published and the end is looked for.
const TICK: Duration = Duration::from_millis(250);
/// How often hosts are looked at.
const HOSTS_EVERY: Duration = Duration::from_secs(1);
/// How often expired leases are looked for, and the figures of the history record are brought up to date.
const UPKEEP_EVERY: Duration = Duration::from_secs(10);
/// Aliases that are followed from a start URL to a page.
const MAX_HOPS: usize = 10;

/// Why a crawl could not be conducted.
#[derive(Debug, thiserror::Error)]
enum ConductError {
    #[error(transparent)]
    Crawldb(#[from] CrawldbError),
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Leads one crawl from its start, or from where it stood, to its end; returns when nothing of it runs any more.
pub(crate) async fn conduct(shared: Arc<Shared>, run: Arc<Run>) {
    shared.metrics.crawls.inc();
    let mut conductor = Conductor::new(shared, run);
    let result = conductor.lead().await;
    if let Err(error) = &result {
        conductor.run.give_up(with_causes(error));
    }
    conductor.wind_down().await;
    if let Err(error) = conductor.close(result.is_ok_and(|complete| complete)).await {
        tracing::error!(crawl = %conductor.run.crawl.id, error = with_causes(&error), "the crawl could not be closed");
    }
    conductor.shared.metrics.crawls.dec();
    conductor
        .run
        .progress
        .send_modify(|progress| progress.is_final = true);
}

struct Conductor {
    shared: Arc<Shared>,
    run: Arc<Run>,
    status: CrawlStatus,
    begun: Instant,
    /// Items of the hosts that were quiet when last looked at, and of those that were announced as done.
    quiet: HashMap<Scope, u64>,
    announced: HashMap<Scope, u64>,
    hosts_at: Instant,
    upkeep_at: Instant,
    /// Fetches, bytes and milliseconds that the history record has.
    recorded: [u64; 3],
    measured: (Instant, u64),
}

impl Conductor {
    fn new(shared: Arc<Shared>, run: Arc<Run>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            run,
            status: CrawlStatus::Enumerating,
            begun: now,
            quiet: HashMap::new(),
            announced: HashMap::new(),
            hosts_at: now,
            upkeep_at: now,
            recorded: [0; 3],
            measured: (now, 0),
        }
    }

    /// Whether every item is terminal; not so when the crawl was stopped before.
    async fn lead(&mut self) -> Result<bool, ConductError> {
        let (shared, run) = (Arc::clone(&self.shared), Arc::clone(&self.run));
        announce::started(&shared.deps.log, &run.crawl.id, &run.bounds.hosts()).await?;
        self.enter(CrawlStatus::Enumerating).await?;
        let enumeration = enumerate::begin(&shared, &run).await;
        self.wake_open(&self.scopes().await?);
        while !run.stop.is_cancelled() {
            if self.tick(enumeration.as_ref()).await? {
                return Ok(true);
            }
            let wait = if run.busy.load(Ordering::Acquire) == 0 {
                TICK / 10
            } else {
                TICK
            };
            run.stop.run_until_cancelled(tokio::time::sleep(wait)).await;
        }
        Ok(false)
    }

    /// One look at everything; true when the crawl is complete.
    async fn tick(&mut self, enumeration: Option<&JoinHandle<()>>) -> Result<bool, ConductError> {
        let enumerated = enumeration.is_none_or(JoinHandle::is_finished);
        if enumerated && self.status == CrawlStatus::Enumerating {
            self.enter(CrawlStatus::Processing).await?;
        }
        self.upkeep().await?;
        self.publish().await?;
        let is_idle = self.run.busy.load(Ordering::Acquire) == 0;
        if is_idle || self.hosts_at.elapsed() >= HOSTS_EVERY {
            let scopes = self.scopes().await?;
            self.wake_open(&scopes);
            // Pages are in the crawl database before the page that named them is terminal: zero is zero.
            if enumerated && is_idle && scopes.iter().all(|scope| scope.open == 0) {
                self.announce_hosts(&scopes).await?;
                return Ok(true);
            }
            if self.hosts_at.elapsed() >= HOSTS_EVERY {
                self.hosts_at = Instant::now();
                self.look_at_hosts(&scopes).await?;
            }
        }
        Ok(false)
    }

    async fn enter(&mut self, status: CrawlStatus) -> Result<(), ConductError> {
        self.shared
            .deps
            .crawldb
            .set_status(&self.run.crawl, status)
            .await?;
        self.status = status;
        Ok(())
    }

    async fn scopes(&self) -> Result<Vec<ScopeCount>, ConductError> {
        Ok(self.shared.deps.crawldb.scopes(&self.run.crawl.id).await?)
    }

    /// A scope whose requests got lost still gets its lane.
    fn wake_open(&self, scopes: &[ScopeCount]) {
        for scope in scopes.iter().filter(|scope| scope.open > 0) {
            self.run.open_lane(&self.shared, &scope.scope);
        }
    }

    /// A host is done when it has been quiet twice in a row; if it gets more work later, it is done again later.
    async fn look_at_hosts(&mut self, scopes: &[ScopeCount]) -> Result<(), ConductError> {
        let quiet = |scope: &&ScopeCount| scope.open == 0;
        let was_quiet = |scope: &ScopeCount| self.quiet.get(&scope.scope) == Some(&scope.items);
        let done: Vec<ScopeCount> = scopes
            .iter()
            .filter(quiet)
            .filter(|scope| was_quiet(scope))
            .cloned()
            .collect();
        self.quiet = scopes
            .iter()
            .filter(quiet)
            .map(|scope| (scope.scope.clone(), scope.items))
            .collect();
        if self.status == CrawlStatus::Processing {
            self.announce_hosts(&done).await?;
        }
        Ok(())
    }

    async fn announce_hosts(&mut self, done: &[ScopeCount]) -> Result<(), ConductError> {
        for scope in done {
            let Ok(host) = Host::new(&scope.scope) else {
                continue;
            };
            if self.announced.insert(scope.scope.clone(), scope.items) != Some(scope.items) {
                announce::host_done(&self.shared.deps.log, &self.run.crawl.id, &host, scope.items).await?;
            }
        }
        Ok(())
    }

    async fn upkeep(&mut self) -> Result<(), ConductError> {
        if self.upkeep_at.elapsed() < UPKEEP_EVERY {
            return Ok(());
        }
        self.upkeep_at = Instant::now();
        let now = self.shared.options.clock.now();
        let expired = self
            .shared
            .deps
            .crawldb
            .expire_leases(&self.run.source.id, now)
            .await?;
        self.shared.metrics.expired.inc_by(expired);
        self.record_work().await
    }

    async fn record_work(&mut self) -> Result<(), ConductError> {
        let work = &self.run.work;
        let spent = [
            work.fetches.load(Ordering::Relaxed),
            work.bytes.load(Ordering::Relaxed),
            work.micros.load(Ordering::Relaxed) / 1_000,
        ];
        let [fetches, bytes, millis] = std::array::from_fn(|at| spent[at] - self.recorded[at]);
        self.shared
            .deps
            .crawldb
            .add_work(&self.run.crawl.id, fetches, bytes, millis)
            .await?;
        self.recorded = spent;
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), ConductError> {
        let (since, fetches_then) = self.measured;
        let fetches = self.run.work.fetches.load(Ordering::Relaxed);
        if since.elapsed() < TICK {
            return Ok(());
        }
        let rate = (fetches - fetches_then) as f64 / since.elapsed().as_secs_f64();
        self.measured = (Instant::now(), fetches);
        let totals = self.shared.deps.crawldb.totals(&self.run.crawl.id).await?;
        self.show(totals, rate, None);
        Ok(())
    }

    fn show(&self, totals: CrawlTotals, rate: f64, reason: Option<String>) {
        let run = &self.run;
        let host = run
            .current_host
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        run.progress.send_modify(|progress| {
            progress.status = self.status;
            progress.reason = reason;
            progress.totals = totals;
            progress.fetched_bytes = run.work.bytes.load(Ordering::Relaxed);
            progress.fetches = run.work.fetches.load(Ordering::Relaxed);
            progress.pages_per_second = rate;
            progress.current_host = host;
        });
    }

    /// Nothing new is begun; what runs has its grace, and what is not done by then is given back.
    async fn wind_down(&mut self) {
        let (shared, run) = (&self.shared, &self.run);
        run.stop.cancel();
        run.tasks.close();
        if tokio::time::timeout(shared.options.stop_grace, run.tasks.wait())
            .await
            .is_err()
        {
            run.kill.cancel();
            run.tasks.wait().await;
        }
        shared.close(&run.crawl.id).await;
        run.forget();
        // Another process may be at work by now.
        if run.broken().is_some() {
            return;
        }
        let now = shared.options.clock.now();
        if let Err(error) = shared.deps.crawldb.release_leases(&run.source.id, "", now).await {
            tracing::warn!(crawl = %run.crawl.id, %error, "leases could not be given back; they will expire");
        }
    }

    /// A crawl that was only stopped stays as it is, to be resumed.
    async fn close(&mut self, is_complete: bool) -> Result<(), ConductError> {
        self.record_work().await?;
        let cancelled = self.run.cancelled.load(Ordering::Acquire);
        let (status, ended, reason) = match (self.run.broken(), cancelled) {
            (Some(reason), _) => (CrawlStatus::Failed, Ended::Failed, Some(reason)),
            (None, true) => (CrawlStatus::Cancelled, Ended::Cancelled, None),
            (None, false) if is_complete => match self.nothing_fetched().await? {
                Some(reason) => (CrawlStatus::Failed, Ended::Failed, Some(reason)),
                None => (CrawlStatus::Completed, Ended::Completed, None),
            },
            _ => return Ok(()),
        };
        let (log, crawldb, id) = (
            &self.shared.deps.log,
            &self.shared.deps.crawldb,
            &self.run.crawl.id,
        );
        self.shared
            .deps
            .crawldb
            .set_status(&self.run.crawl, CrawlStatus::Draining)
            .await?;
        // Said before it is so: a crash in between repeats it, the other way round nobody would hear.
        announce::ended(log, id, ended).await?;
        let crawl = crawldb
            .end_crawl(id, status, reason.clone(), self.shared.options.clock.now())
            .await?;
        self.shared.metrics.crawl_took(self.begun.elapsed());
        self.status = crawl.status;
        let fetches = self.run.work.fetches.load(Ordering::Relaxed);
        let rate = fetches as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        self.show(crawl.totals, rate, reason);
        Ok(())
    }

    /// Why the crawl failed, where nothing came of it.
    async fn nothing_fetched(&self) -> Result<Option<String>, ConductError> {
        match &self.run.bucket {
            Some(bucket) => self.no_object_fetched(bucket.address()).await,
            None => self.no_start_fetched().await,
        }
    }

    /// Why the crawl failed, where the bucket has no objects or not one of them could be fetched.
    async fn no_object_fetched(&self, bucket: &BucketAddress) -> Result<Option<String>, ConductError> {
        let (crawldb, crawl) = (&self.shared.deps.crawldb, &self.run.crawl.id);
        let totals = crawldb.totals(crawl).await?;
        if totals.seen == 0 {
            return Ok(Some(format!(
                "{bucket} holds no objects that belong to the source"
            )));
        }
        if totals.escalated < totals.seen {
            return Ok(None);
        }
        let scan = Scan {
            source: &self.run.source.id,
            states: &[ItemState::Escalated],
            crawl: Some(crawl),
            updated_since: None,
            lease_expired_at: None,
            after: None,
            limit: 1,
        };
        let items = crawldb.items(&scan).await?;
        let why = items.first().and_then(failure).unwrap_or_default();
        Ok(Some(format!("no object could be fetched: {why}")))
    }

    /// Why the crawl failed, where not one start URL led to a page.
    async fn no_start_fetched(&self) -> Result<Option<String>, ConductError> {
        let mut reason = None;
        for start in &self.run.source.site.start {
            let Some(item) = self.end_of(item_id(start)).await? else {
                continue;
            };
            let Some(why) = failure(&item) else {
                return Ok(None);
            };
            reason.get_or_insert_with(|| format!("no start URL could be fetched: {}: {why}", item.url));
        }
        Ok(reason.or_else(|| Some("there is no start URL".to_owned())))
    }

    /// The item that this one leads to, by redirects and canonical addresses.
    async fn end_of(&self, id: ItemId) -> Result<Option<Item>, ConductError> {
        let crawldb = &self.shared.deps.crawldb;
        let mut item = crawldb.item(&self.run.source.id, &id).await?;
        for _ in 0..MAX_HOPS {
            let Some(Disposition::Alias(next)) = item.as_ref().and_then(|item| item.disposition.clone())
            else {
                break;
            };
            match crawldb.item(&self.run.source.id, &next).await? {
                Some(target) => item = Some(target),
                None => break,
            }
        }
        Ok(item)
    }
}

fn failure(item: &Item) -> Option<String> {
    if item.disposition == Some(Disposition::Disallowed) {
        return Some("robots.txt disallows it".to_owned());
    }
    if matches!(item.state, ItemState::Success | ItemState::Unchanged) {
        return None;
    }
    Some(
        item.last_error
            .as_ref()
            .map_or_else(|| "it was not fetched".to_owned(), |error| error.message.clone()),
    )
}
