//! Who may crawl a source: the lock of a source, the queue before it, and the lease of a crawl.

use std::time::Duration;

use model::{CrawlId, SourceId, Timestamp};

use crate::crawls::over;
use crate::error::{CrawldbError, StartError};
use crate::handle::{Crawldb, MAX_SWAPS};
use crate::port::Written;
use crate::records::{
    ConcurrencyMode, Crawl, CrawlKind, CrawlStatus, CrawlTotals, Enumeration, LogMarks, OrphanReport, Queued,
    Revision, Source, SourceKind,
};
use crate::{MAX_CONCURRENT, MAX_QUEUED};

/// How long a crawl belongs to the process that runs it without a sign of life of it.
pub const CRAWL_LEASE: Duration = Duration::from_secs(30);
/// Of so many crawls, the newest, those that never got the lock are closed when another one starts.
const MAX_ABANDONED: usize = 10;

/// What became of the wish to crawl.
#[derive(Clone, Debug, PartialEq)]
pub enum Started {
    /// The crawl runs, in the hands of the caller.
    Now(Box<Crawl>),
    /// It waits for others; so many are before it.
    Queued(usize),
}

impl Started {
    /// The crawl, where it runs.
    pub fn crawl(self) -> Option<Crawl> {
        match self {
            Self::Now(crawl) => Some(*crawl),
            Self::Queued(_) => None,
        }
    }
}

impl Crawldb {
    /// Starts a crawl for `service`, or puts it behind the one that runs, as the source's settings say.
    ///
    /// The crawl's start is `now`, or a millisecond after the newest crawl of the source where the clock went back:
    /// the version of a later crawl is always greater.
    pub async fn start_crawl(
        &self,
        id: &SourceId,
        kind: CrawlKind,
        service: &str,
        now: Timestamp,
    ) -> Result<Started, StartError> {
        for _ in 0..MAX_SWAPS {
            let source = self.startable(id).await?;
            let running = self.running(&source).await?;
            match (source.settings.concurrency, running.first()) {
                (ConcurrencyMode::Exclusive, Some(crawl)) => return Err(StartError::Running(crawl.clone())),
                (ConcurrencyMode::Queue, Some(_)) => {
                    return self.queue(id, kind, now).await.map(Started::Queued);
                }
                (ConcurrencyMode::Concurrent, _) if running.len() >= MAX_CONCURRENT => {
                    return Err(StartError::Full(id.clone()));
                }
                _ => {}
            }
            if let Some(crawl) = self.start_on(&source, &running, kind, service, now).await? {
                return Ok(Started::Now(Box::new(crawl)));
            }
        }
        Err(contention(id))
    }

    /// Starts the crawl that has waited longest, if the source is free. Its start is now, not when it was asked for:
    /// what it fetches is newer than every update until now.
    pub async fn start_queued(
        &self,
        id: &SourceId,
        service: &str,
        now: Timestamp,
    ) -> Result<Option<Crawl>, StartError> {
        for _ in 0..MAX_SWAPS {
            let mut source = self.startable(id).await?;
            if source.queued.is_empty() || !self.running(&source).await?.is_empty() {
                return Ok(None);
            }
            let next = source.queued.remove(0);
            let started = self.start_on(&source, &[], next.kind, service, now).await?;
            if started.is_some() {
                return Ok(started);
            }
        }
        Err(contention(id))
    }

    async fn startable(&self, id: &SourceId) -> Result<Source, StartError> {
        let source = self.store.get_source(id).await?;
        let source = source.ok_or_else(|| StartError::NoSource(id.clone()))?;
        if source.deleting_since.is_some() {
            return Err(StartError::Deleting(source.id));
        }
        if source.settings.kind == SourceKind::Feed {
            return Err(StartError::Feed(source.id));
        }
        Ok(source)
    }

    /// Answers how many are before it, those that run included.
    async fn queue(&self, id: &SourceId, kind: CrawlKind, now: Timestamp) -> Result<usize, StartError> {
        let queued = Queued { kind, asked_at: now };
        let source = self
            .swap_source(id, |mut stored| {
                if stored.queued.len() < MAX_QUEUED {
                    stored.queued.push(queued.clone());
                }
                Ok(stored)
            })
            .await?;
        match source.queued.iter().rposition(|waiting| *waiting == queued) {
            Some(before) => Ok(before + 1),
            None => Err(StartError::Full(id.clone())),
        }
    }

    /// None where another one was faster: with the source, or with the start.
    async fn start_on(
        &self,
        source: &Source,
        running: &[CrawlId],
        kind: CrawlKind,
        service: &str,
        now: Timestamp,
    ) -> Result<Option<Crawl>, StartError> {
        let start = now.max(self.first_free_start(source, now).await?);
        let crawl = new_crawl(source, kind, service, start, now);
        let Written::Done(revision) = self.store.put_crawl(&crawl).await? else {
            self.figures.add_conflicts(1);
            return Ok(None);
        };
        if self.lock(source, running, &crawl).await? {
            return Ok(Some(Crawl { revision, ..crawl }));
        }
        self.abandon(&crawl.id, now).await?;
        Ok(None)
    }

    /// The earliest start that is later than every crawl of the source. Crawls that never got the lock because their
    /// process died before are closed here.
    async fn first_free_start(&self, source: &Source, now: Timestamp) -> Result<Timestamp, CrawldbError> {
        let newest = self.store.list_crawls(Some(&source.id), MAX_ABANDONED).await?;
        let never_locked = |crawl: &&Crawl| {
            crawl.status == CrawlStatus::Pending
                && crawl.alive_until <= now
                && !source.active_crawls.contains(&crawl.id)
        };
        for crawl in newest.iter().filter(never_locked) {
            self.abandon(&crawl.id, now).await?;
        }
        let starts = newest.iter().map(|crawl| crawl.started_at);
        let last = starts.max().max(source.last_crawl_start);
        Ok(last.map_or(Timestamp::default(), |last| {
            Timestamp::from_millis(last.as_millis() + 1)
        }))
    }

    /// Only the source as it was read gives its lock: who comes second is refused.
    async fn lock(&self, source: &Source, running: &[CrawlId], crawl: &Crawl) -> Result<bool, StartError> {
        let locked = Source {
            active_crawls: running.iter().chain([&crawl.id]).cloned().collect(),
            last_crawl_start: Some(crawl.started_at),
            lock_epoch: crawl.epoch,
            ..source.clone()
        };
        let is_locked = matches!(self.store.put_source(&locked).await?, Written::Done(_));
        self.figures.add_conflicts(u64::from(!is_locked));
        Ok(is_locked)
    }

    async fn abandon(&self, id: &CrawlId, now: Timestamp) -> Result<(), CrawldbError> {
        let reason = || Some("it never got the lock of its source".to_owned());
        self.swap_crawl(id, |crawl| match crawl.status {
            CrawlStatus::Pending => Ok(over(crawl, CrawlStatus::Failed, reason(), now)),
            _ => Ok(crawl),
        })
        .await?;
        Ok(())
    }

    /// The running crawl under a new lock epoch, for a service that starts again; the process that ran it before is
    /// fenced: its calls answer [`CrawldbError::Fenced`]. None where the crawl is over, or does not have the lock. Of two
    /// that take over at once, one is fenced too.
    pub async fn take_over(
        &self,
        id: &CrawlId,
        service: &str,
        now: Timestamp,
    ) -> Result<Option<Crawl>, CrawldbError> {
        let source = self.store.get_source(&id.source()).await?;
        let holds = |source: &Source| source.active_crawls.contains(id);
        let crawl = self.store.get_crawl(id).await?;
        if !source.is_some_and(|source| holds(&source)) || crawl.is_none_or(|crawl| crawl.status.is_over()) {
            return Ok(None);
        }
        let source = self
            .swap_source(&id.source(), |stored| {
                if !holds(&stored) {
                    return Err(CrawldbError::Fenced(id.clone()));
                }
                Ok(Source {
                    lock_epoch: stored.lock_epoch + 1,
                    ..stored
                })
            })
            .await?;
        tracing::info!(crawl = %id, service, epoch = source.lock_epoch, at_ms = now.as_millis(), "takes the crawl over");
        let taken = self.swap_crawl(id, |stored| {
            if stored.epoch >= source.lock_epoch || stored.status.is_over() {
                return Err(CrawldbError::Fenced(stored.id));
            }
            Ok(handed_to(stored, service, source.lock_epoch, now))
        });
        Ok(Some(taken.await?))
    }

    /// Takes the source's lock once more for a crawl that is COMPLETED or BLOCKED, so that its orphans can be judged: it
    /// is in the state ORPHANS again. None where another crawl runs, or a newer one has begun since: then that one
    /// judges.
    pub async fn reopen_for_orphans(
        &self,
        id: &CrawlId,
        service: &str,
        now: Timestamp,
    ) -> Result<Option<Crawl>, CrawldbError> {
        let Some(source) = self.store.get_source(&id.source()).await? else {
            return Ok(None);
        };
        let is_newest = source.last_crawl_start == Some(id.started_at());
        let crawl = self.store.get_crawl(id).await?;
        let is_free = source.deleting_since.is_none() && self.running(&source).await?.is_empty();
        if !is_newest || !is_free || !crawl.as_ref().is_some_and(may_reopen) {
            return Ok(None);
        }
        let locked = Source {
            active_crawls: vec![id.clone()],
            lock_epoch: source.lock_epoch + 1,
            ..source
        };
        let Written::Done(_) = self.store.put_source(&locked).await? else {
            self.figures.add_conflicts(1);
            return Ok(None);
        };
        let reopened = self.swap_crawl(id, |stored| {
            if !may_reopen(&stored) {
                return Err(CrawldbError::Fenced(stored.id));
            }
            Ok(Crawl {
                status: CrawlStatus::Orphans,
                ..handed_to(stored, service, locked.lock_epoch, now)
            })
        });
        Ok(Some(reopened.await?))
    }
}

/// A crawl that failed or was cancelled never deletes.
fn may_reopen(crawl: &Crawl) -> bool {
    matches!(crawl.status, CrawlStatus::Completed | CrawlStatus::Blocked)
}

fn handed_to(crawl: Crawl, service: &str, epoch: u64, now: Timestamp) -> Crawl {
    Crawl {
        epoch,
        service: service.to_owned(),
        alive_until: now.after(CRAWL_LEASE),
        ..crawl
    }
}

fn contention(source: &SourceId) -> StartError {
    CrawldbError::Contention(format!("source {source}")).into()
}

fn new_crawl(source: &Source, kind: CrawlKind, service: &str, start: Timestamp, now: Timestamp) -> Crawl {
    Crawl {
        id: CrawlId::at(&source.id, start),
        revision: Revision::NEW,
        status: CrawlStatus::Pending,
        started_at: start,
        ended_at: None,
        configuration: source.configuration,
        epoch: source.lock_epoch + 1,
        service: service.to_owned(),
        alive_until: now.after(CRAWL_LEASE),
        totals: CrawlTotals::default(),
        fetched_bytes: 0,
        fetches: 0,
        processing_ms: 0,
        indexed: 0,
        reason: None,
        kind,
        enumeration: Enumeration::default(),
        marks: LogMarks::default(),
        orphans: OrphanReport::default(),
    }
}
