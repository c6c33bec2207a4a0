//! The course of one crawl: announced, enumerated, processed, drained, its orphans judged, ended.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crawldb::{CrawlKind, CrawlStatus, CrawlTotals, OrphanReport, ScopeCount};
use ledger::Sweep;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use updates::{Ended, LogError, UpdateLog, topics};

use crate::hosts::Hosts;
use crate::patience::{Patience, WriteError, with_causes};
use crate::run::{Run, Shared};
use crate::verify::Verifier;
use crate::{announce, drain, entry, enumerate, receipts};

/// How often progress is published and the end is looked for.
pub(crate) const TICK: Duration = Duration::from_millis(250);
/// How often hosts are looked at.
const HOSTS_EVERY: Duration = Duration::from_secs(1);
/// How often expired leases are looked for, and the history record is brought up to date: it tells others that the
/// conductor is alive, so several times within [`crawldb::CRAWL_LEASE`].
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// How a crawl ended.
struct End {
    status: CrawlStatus,
    reason: Option<String>,
}

/// Leads one crawl from its start, or from where it stood, to its end; returns when nothing of it runs any more.
pub(crate) async fn conduct(shared: Arc<Shared>, run: Arc<Run>) {
    shared.metrics.crawls.inc();
    let (news, end_of_receipts) = (Arc::new(Notify::new()), CancellationToken::new());
    let receipts = tokio::spawn(receipts::read(
        Arc::clone(&shared),
        Arc::clone(&run),
        Arc::clone(&news),
        end_of_receipts.clone(),
    ));
    let mut conductor = Conductor::new(shared, run, news);
    let end = conductor.lead_patiently().await;
    conductor.shared.wind_down(&conductor.run).await;
    end_of_receipts.cancel();
    receipts.await.ok();
    if let Err(error) = conductor.close(end).await {
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
    /// What names items without processing any, while it runs.
    enumeration: Option<JoinHandle<()>>,
    patience: Patience,
    hosts: Hosts,
    hosts_at: Instant,
    upkeep_at: Instant,
    measured: (Instant, u64),
    /// Receipts have come.
    news: Arc<Notify>,
    /// Whether other processes have something to do.
    others_work: bool,
}

impl Conductor {
    fn new(shared: Arc<Shared>, run: Arc<Run>, news: Arc<Notify>) -> Self {
        let now = Instant::now();
        Self {
            status: run.held().status,
            shared,
            run,
            begun: now,
            enumeration: None,
            patience: Patience::default(),
            hosts: Hosts::default(),
            hosts_at: now,
            upkeep_at: now,
            measured: (now, 0),
            news,
            others_work: false,
        }
    }

    /// As [`lead`](Self::lead). Where a store fails, it goes on from where it stood, until that takes too long.
    async fn lead_patiently(&mut self) -> Option<End> {
        loop {
            let error = match self.lead().await {
                Ok(end) => return end,
                Err(error) => error,
            };
            let (shared, run) = (Arc::clone(&self.shared), Arc::clone(&self.run));
            if let Err(error) = self.patience.wait(&shared, &run, error).await {
                run.give_up(with_causes(&error));
                return None;
            }
        }
    }

    /// How the crawl ended; none where it was stopped before. It goes on where an earlier process left it.
    async fn lead(&mut self) -> Result<Option<End>, WriteError> {
        if !matches!(self.status, CrawlStatus::Draining | CrawlStatus::Orphans) && !self.process().await? {
            return Ok(None);
        }
        self.shared.wind_down(&self.run).await;
        if self.status != CrawlStatus::Orphans {
            if let Some(end) = self.judge().await? {
                return Ok(Some(end));
            }
            if !self.drain().await? {
                return Ok(None);
            }
        }
        self.judge_orphans().await
    }

    /// Finds and processes everything; false where the crawl was stopped before that.
    async fn process(&mut self) -> Result<bool, WriteError> {
        if !self.is_enumerated().await? {
            let log = self.shared.deps.ledger.log();
            announce::started(log, &self.run.crawl.id, &self.run.bounds.hosts()).await?;
            self.begin_enumeration().await?;
        }
        let run = Arc::clone(&self.run);
        while !run.stop.is_cancelled() {
            if self.tick().await? {
                return Ok(true);
            }
            self.patience.renew();
            run.stop.run_until_cancelled(self.rest()).await;
        }
        Ok(false)
    }

    /// Whether enumeration is under way, or an earlier process came to its end.
    async fn is_enumerated(&mut self) -> Result<bool, WriteError> {
        if self.enumeration.is_some() {
            return Ok(true);
        }
        let has_ended = self.run.held().enumeration.ended_at.is_some();
        if has_ended && self.status != CrawlStatus::Processing {
            self.enter(CrawlStatus::Processing).await?;
        }
        Ok(has_ended)
    }

    async fn begin_enumeration(&mut self) -> Result<(), WriteError> {
        let run = Arc::clone(&self.run);
        let log = self.shared.deps.ledger.log();
        let live = ends(log, &topics::live(&run.source.id)).await?;
        let applied = ends(log, &topics::applied(&run.source.id)).await?;
        self.update(move |crawl| {
            crawl.status = CrawlStatus::Enumerating;
            // A crawl that goes on keeps the marks of its start.
            if crawl.marks.live_start.is_empty() {
                crawl.marks.live_start.clone_from(&live);
                crawl.marks.applied_start.clone_from(&applied);
            }
        })
        .await?;
        let task = enumerate::begin(&self.shared, &run).await;
        self.enumeration = Some(task.unwrap_or_else(|| tokio::spawn(async {})));
        Ok(())
    }

    /// Notes the end of the enumeration, once it has come. False where the enumeration died: then the crawl does not
    /// know what the source holds.
    async fn look_at_enumeration(&mut self) -> Result<bool, WriteError> {
        if let Some(task) = self.enumeration.take_if(|task| task.is_finished()) {
            if task.await.is_err() {
                self.run.give_up("the enumeration ended unexpectedly".to_owned());
                return Ok(false);
            }
            self.enumerated().await?;
        }
        Ok(true)
    }

    /// Everything that can be named without processing items is named.
    async fn enumerated(&mut self) -> Result<(), WriteError> {
        let log = self.shared.deps.ledger.log();
        let live = ends(log, &topics::live(&self.run.source.id)).await?;
        let now = self.shared.options.clock.now();
        self.run.record_gaps(&self.shared).await?;
        self.update(move |crawl| {
            crawl.status = CrawlStatus::Processing;
            crawl.enumeration.ended_at = Some(now);
            crawl.marks.live_enumerated.clone_from(&live);
        })
        .await
    }

    /// Looks again sooner when everything that is known is done here: then the end may be near.
    async fn rest(&self) {
        if self.run.busy.load(Ordering::Acquire) > 0 {
            return tokio::time::sleep(TICK).await;
        }
        if !self.others_work {
            return tokio::time::sleep(TICK / 10).await;
        }
        tokio::time::timeout(TICK, self.news.notified()).await.ok();
    }

    /// One look at everything; true when the crawl is complete.
    async fn tick(&mut self) -> Result<bool, WriteError> {
        if self.status == CrawlStatus::Enumerating && !self.look_at_enumeration().await? {
            return Ok(false);
        }
        self.upkeep().await?;
        self.publish().await?;
        let is_idle = self.run.busy.load(Ordering::Acquire) == 0;
        if !is_idle && self.hosts_at.elapsed() < HOSTS_EVERY {
            return Ok(false);
        }
        let scopes = self.scopes().await?;
        self.run.open_lanes(&self.shared, &scopes);
        if self.status == CrawlStatus::Processing && is_idle && is_complete(&scopes) {
            return self.is_complete().await;
        }
        if self.hosts_at.elapsed() >= HOSTS_EVERY {
            self.hosts_at = Instant::now();
            self.look_at_hosts(&scopes).await?;
        }
        Ok(false)
    }

    /// Counts once more, over everything that anybody wrote. Pages are in the crawl database before the page that named
    /// them is terminal: zero is zero.
    async fn is_complete(&mut self) -> Result<bool, WriteError> {
        let crawldb = self.shared.deps.ledger.crawldb();
        crawldb
            .store()
            .refresh()
            .await
            .map_err(crawldb::CrawldbError::from)?;
        let scopes = self.scopes().await?;
        if !is_complete(&scopes) {
            return Ok(false);
        }
        let log = self.shared.deps.ledger.log();
        self.hosts.announce(log, &self.run.crawl.id, &scopes).await?;
        Ok(true)
    }

    async fn scopes(&mut self) -> Result<Vec<ScopeCount>, WriteError> {
        let crawldb = self.shared.deps.ledger.crawldb();
        let scopes = crawldb.scopes(&self.run.crawl.id).await?;
        self.others_work = scopes
            .iter()
            .any(|scope| scope.open > 0 && !self.run.has_ground(&scope.scope));
        Ok(scopes)
    }

    async fn look_at_hosts(&mut self, scopes: &[ScopeCount]) -> Result<(), WriteError> {
        let done = self.hosts.look(scopes);
        if self.status == CrawlStatus::Processing {
            let log = self.shared.deps.ledger.log();
            self.hosts.announce(log, &self.run.crawl.id, &done).await?;
        }
        Ok(())
    }

    /// Whether a newer crawl of the source has begun, beside this one: what became of the items, and what is gone, that
    /// one says.
    async fn is_outrun(&self) -> Result<bool, WriteError> {
        let crawldb = self.shared.deps.ledger.crawldb();
        let source = crawldb.source(&self.run.source.id).await?;
        let newest = source.and_then(|source| source.last_crawl_start);
        Ok(newest.is_some_and(|newest| newest > self.run.crawl.started_at))
    }

    /// How the crawl ended, where nothing came of it.
    async fn judge(&self) -> Result<Option<End>, WriteError> {
        if self.is_outrun().await? {
            return Ok(None);
        }
        let reason = entry::fruitless(&self.shared, &self.run).await?;
        self.run.record_gaps(&self.shared).await?;
        Ok(reason.map(|reason| End {
            status: CrawlStatus::Failed,
            reason: Some(reason),
        }))
    }

    /// Waits for what is on its way; false where the crawl was stopped before.
    async fn drain(&mut self) -> Result<bool, WriteError> {
        self.enter(CrawlStatus::Draining).await?;
        let (shared, run) = (Arc::clone(&self.shared), Arc::clone(&self.run));
        let drained = self.alive(drain::wait(&shared, &run)).await?;
        Ok(drained.transpose()?.is_some())
    }

    /// Deletes what the crawl missed, as far as that may be; none where the crawl was stopped before.
    async fn judge_orphans(&mut self) -> Result<Option<End>, WriteError> {
        if self.run.crawl.kind == CrawlKind::Incremental {
            return Ok(Some(completed(&OrphanReport::default())));
        }
        if self.is_outrun().await? {
            let reason = "a newer crawl of the source has begun";
            self.update(move |crawl| crawl.orphans.withheld = Some(reason.to_owned()))
                .await?;
            return Ok(Some(completed(&OrphanReport::default())));
        }
        self.enter(CrawlStatus::Orphans).await?;
        let (shared, run) = (Arc::clone(&self.shared), Arc::clone(&self.run));
        let verifier = Verifier::new(Arc::clone(&shared), run.source.clone(), run.reach());
        let (crawl, clock) = (run.held(), || shared.options.clock.now());
        let sweep = Sweep {
            crawl: &crawl,
            source: &run.source,
            verify: &verifier,
            clock: &clock,
        };
        let swept = self.alive(shared.deps.ledger.sweep(&sweep)).await?;
        Ok(swept.transpose()?.map(|report| completed(&report)))
    }

    /// What comes of `work`, while others hear that this process is alive; none where the crawl is to stop before.
    async fn alive<T>(&mut self, work: impl Future<Output = T>) -> Result<Option<T>, WriteError> {
        let run = Arc::clone(&self.run);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(Some(done)),
                () = run.stop.cancelled() => return Ok(None),
                () = tokio::time::sleep(TICK) => {
                    self.upkeep().await?;
                    self.publish().await?;
                }
            }
        }
    }

    async fn enter(&mut self, status: CrawlStatus) -> Result<(), WriteError> {
        self.update(move |crawl| crawl.status = status).await
    }

    async fn update(&mut self, change: impl Fn(&mut crawldb::Crawl) + Send + Sync) -> Result<(), WriteError> {
        let crawldb = self.shared.deps.ledger.crawldb();
        let crawl = crawldb.update_crawl(&self.run.held(), change).await?;
        self.status = crawl.status;
        self.run.hold(crawl);
        Ok(())
    }

    async fn upkeep(&mut self) -> Result<(), WriteError> {
        if self.upkeep_at.elapsed() < UPKEEP_EVERY {
            return Ok(());
        }
        self.upkeep_at = Instant::now();
        let now = self.shared.options.clock.now();
        let crawldb = self.shared.deps.ledger.crawldb();
        self.run.record_work(&self.shared).await?;
        let expired = crawldb.expire_leases(&self.run.source.id, now).await?;
        self.shared.metrics.expired.inc_by(expired);
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), WriteError> {
        let (since, fetches_then) = self.measured;
        let fetches = self.run.work.fetches.load(Ordering::Relaxed);
        if since.elapsed() < TICK {
            return Ok(());
        }
        let rate = (fetches - fetches_then) as f64 / since.elapsed().as_secs_f64();
        self.measured = (Instant::now(), fetches);
        let crawldb = self.shared.deps.ledger.crawldb();
        let totals = crawldb.totals(&self.run.crawl.id).await?;
        // Other processes find items, too.
        self.run.items.fetch_max(totals.seen, Ordering::AcqRel);
        self.show(totals, rate, None);
        Ok(())
    }

    fn show(&self, totals: CrawlTotals, rate: f64, reason: Option<String>) {
        self.run.show(self.status, totals, rate);
        self.run.progress.send_modify(|progress| progress.reason = reason);
    }

    /// A crawl that was only stopped stays as it is, to be resumed; one that another process leads is left to it.
    async fn close(&mut self, end: Option<End>) -> Result<(), WriteError> {
        if self.run.is_lost() {
            return Ok(());
        }
        self.run.record_work(&self.shared).await?;
        self.run.record_gaps(&self.shared).await?;
        let cancelled = self.run.cancelled.load(Ordering::Acquire);
        let end = match (self.run.broken(), end) {
            (Some(reason), _) => End {
                status: CrawlStatus::Failed,
                reason: Some(reason),
            },
            (None, Some(end)) => end,
            (None, None) if cancelled => End {
                status: CrawlStatus::Cancelled,
                reason: None,
            },
            (None, None) => return Ok(()),
        };
        self.end(end).await
    }

    async fn end(&mut self, end: End) -> Result<(), WriteError> {
        let (ledger, id) = (self.shared.deps.ledger.clone(), self.run.crawl.id.clone());
        let applied = ends(ledger.log(), &topics::applied(&self.run.source.id)).await?;
        self.update(move |crawl| crawl.marks.applied_end.clone_from(&applied))
            .await?;
        // Said before it is so: a crash in between repeats it, the other way round nobody would hear.
        announce::ended(ledger.log(), &id, told(end.status)).await?;
        let now = self.shared.options.clock.now();
        let (held, reason) = (self.run.held(), end.reason.clone());
        let crawl = ledger.crawldb().end_crawl(&held, end.status, reason, now).await?;
        self.shared.metrics.crawl_took(self.begun.elapsed());
        self.status = crawl.status;
        let fetches = self.run.work.fetches.load(Ordering::Relaxed);
        let rate = fetches as f64 / self.begun.elapsed().as_secs_f64().max(0.001);
        self.show(crawl.totals, rate, end.reason);
        Ok(())
    }
}

fn completed(report: &OrphanReport) -> End {
    End {
        status: report.ending(),
        reason: report.blocked.clone(),
    }
}

/// A crawl that is blocked has processed everything.
fn told(status: CrawlStatus) -> Ended {
    match status {
        CrawlStatus::Failed => Ended::Failed,
        CrawlStatus::Cancelled => Ended::Cancelled,
        _ => Ended::Completed,
    }
}

fn is_complete(scopes: &[ScopeCount]) -> bool {
    scopes.iter().all(|scope| scope.open == 0)
}

/// Where each partition of the topic ends.
async fn ends(log: &UpdateLog, topic: &str) -> Result<Vec<u64>, LogError> {
    let marks = log.watermarks(topic).await?;
    Ok(marks.iter().map(|marks| marks.high).collect())
}
