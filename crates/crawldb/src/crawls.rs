//! Crawls: who may work on a source, and what the history says.

use model::{CrawlId, SourceId, Timestamp};

use crate::error::{CrawldbError, StartError};
use crate::handle::{Crawldb, MAX_SWAPS};
use crate::port::Written;
use crate::records::{Crawl, CrawlStatus, CrawlTotals, Revision, Scope, Source};

/// How many items of a scope a crawl knows, and how many of them are not terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeCount {
    /// The scope.
    pub scope: Scope,
    /// All items of it.
    pub items: u64,
    /// Items that are PENDING, IN_FLIGHT or FAILURE.
    pub open: u64,
}

impl Crawldb {
    /// Starts a crawl and takes the source's lock for `service`. One crawl of a source runs at a time.
    ///
    /// The crawl's start is `now`, or a millisecond after the newest crawl of the source where the clock went back:
    /// the version of a later crawl is always greater.
    pub async fn start_crawl(
        &self,
        id: &SourceId,
        service: &str,
        now: Timestamp,
    ) -> Result<Crawl, StartError> {
        let source = self
            .store
            .get_source(id)
            .await?
            .ok_or_else(|| StartError::NoSource(id.clone()))?;
        if let Some(crawl) = self.running(&source).await? {
            return Err(StartError::Running(crawl));
        }
        let start = now.max(self.first_free_start(&source, now).await?);
        let crawl = self.insert_crawl(new_crawl(&source, service, start)).await?;
        match self.lock(&source, &crawl).await {
            Ok(()) => Ok(crawl),
            Err(error) => {
                self.abandon(&crawl, now).await?;
                Err(error)
            }
        }
    }

    /// The earliest start that is later than every crawl of the source. The newest crawl, where it is not over, never
    /// got the lock because its process died before: it is closed here.
    async fn first_free_start(&self, source: &Source, now: Timestamp) -> Result<Timestamp, CrawldbError> {
        let newest = self.store.list_crawls(Some(&source.id), 1).await?.pop();
        if let Some(crawl) = newest.as_ref().filter(|crawl| !crawl.status.is_over()) {
            self.abandon(crawl, now).await?;
        }
        let last = newest.map(|crawl| crawl.started_at).max(source.last_crawl_start);
        Ok(last.map_or(Timestamp::default(), |last| {
            Timestamp::from_millis(last.as_millis() + 1)
        }))
    }

    async fn insert_crawl(&self, crawl: Crawl) -> Result<Crawl, StartError> {
        match self.store.put_crawl(&crawl).await? {
            Written::Done(revision) => Ok(Crawl { revision, ..crawl }),
            Written::Conflict(_) => Err(StartError::Running(crawl.id)),
        }
    }

    /// Only the source as it was read gives its lock: who comes second learns who was faster.
    async fn lock(&self, source: &Source, crawl: &Crawl) -> Result<(), StartError> {
        let locked = Source {
            active_crawl: Some(crawl.id.clone()),
            last_crawl_start: Some(crawl.started_at),
            lock_epoch: crawl.epoch,
            ..source.clone()
        };
        if let Written::Done(_) = self.store.put_source(&locked).await? {
            return Ok(());
        }
        self.figures.add_conflicts(1);
        let source = self.store.get_source(&source.id).await?;
        let winner = source
            .and_then(|source| source.active_crawl)
            .filter(|winner| *winner != crawl.id);
        Err(winner.map_or_else(
            || CrawldbError::Contention(format!("source {}", crawl.id.source())).into(),
            StartError::Running,
        ))
    }

    async fn abandon(&self, crawl: &Crawl, now: Timestamp) -> Result<(), CrawldbError> {
        let close = |crawl| {
            over(
                crawl,
                CrawlStatus::Failed,
                Some("it never got the lock of its source".into()),
                now,
            )
        };
        self.swap_crawl(&crawl.id, |crawl| Ok(close(crawl))).await?;
        Ok(())
    }

    /// The running crawl of the source under a new lock epoch, for a service that starts again; the process that ran
    /// it before is fenced: its calls answer [`CrawldbError::Fenced`]. None where no crawl runs. Of two that take over at
    /// once, one is fenced too.
    pub async fn take_over(
        &self,
        id: &SourceId,
        service: &str,
        now: Timestamp,
    ) -> Result<Option<Crawl>, CrawldbError> {
        let Some(source) = self.store.get_source(id).await? else {
            return Ok(None);
        };
        let Some(crawl) = self.running(&source).await? else {
            return Ok(None);
        };
        let source = self
            .swap_source(id, |stored| {
                Ok(Source {
                    lock_epoch: stored.lock_epoch + 1,
                    ..stored
                })
            })
            .await?;
        tracing::info!(%crawl, service, started_at_ms = crawl.started_at().as_millis(), at_ms = now.as_millis(), "takes the crawl over");
        let taken = self.swap_crawl(&crawl, |stored| {
            if stored.epoch >= source.lock_epoch || stored.status.is_over() {
                return Err(CrawldbError::Fenced(stored.id));
            }
            Ok(Crawl {
                epoch: source.lock_epoch,
                service: service.to_owned(),
                ..stored
            })
        });
        Ok(Some(taken.await?))
    }

    /// Moves a running crawl to another status. Ends go through [`end_crawl`](Self::end_crawl).
    pub async fn set_status(&self, crawl: &Crawl, status: CrawlStatus) -> Result<Crawl, CrawldbError> {
        self.swap_crawl(&crawl.id, |stored| {
            fence(&stored, crawl)?;
            Ok(Crawl { status, ..stored })
        })
        .await
    }

    /// Ends a crawl with a recount of its items and gives the source's lock back. Ending it again changes nothing.
    pub async fn end_crawl(
        &self,
        id: &CrawlId,
        status: CrawlStatus,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Crawl, CrawldbError> {
        self.store.refresh().await?;
        let totals = self.totals(id).await?;
        let end = |stored: Crawl| {
            if stored.status.is_over() {
                stored
            } else {
                Crawl {
                    totals,
                    ..over(stored, status, reason.clone(), now)
                }
            }
        };
        let crawl = self.swap_crawl(id, |stored| Ok(end(stored))).await?;
        self.unlock(id).await?;
        Ok(crawl)
    }

    async fn unlock(&self, crawl: &CrawlId) -> Result<(), CrawldbError> {
        let id = crawl.source();
        let holder = self
            .store
            .get_source(&id)
            .await?
            .and_then(|source| source.active_crawl);
        if holder.as_ref() != Some(crawl) {
            return Ok(());
        }
        let release = |stored: Source| Source {
            active_crawl: stored.active_crawl.filter(|holder| holder != crawl),
            ..stored
        };
        self.swap_source(&id, |stored| Ok(release(stored))).await?;
        Ok(())
    }

    /// Adds to the figures of the crawl's history record: answered requests, bytes, milliseconds spent on them.
    pub async fn add_work(
        &self,
        id: &CrawlId,
        fetches: u64,
        fetched_bytes: u64,
        processing_ms: u64,
    ) -> Result<(), CrawldbError> {
        let add = |stored: Crawl| Crawl {
            fetches: stored.fetches + fetches,
            fetched_bytes: stored.fetched_bytes + fetched_bytes,
            processing_ms: stored.processing_ms + processing_ms,
            ..stored
        };
        self.swap_crawl(id, |stored| Ok(add(stored))).await?;
        Ok(())
    }

    /// The crawl, where there is one. The totals of a running crawl are in [`totals`](Self::totals).
    pub async fn crawl(&self, id: &CrawlId) -> Result<Option<Crawl>, CrawldbError> {
        Ok(self.store.get_crawl(id).await?)
    }

    /// The newest crawls, of one source or of all, newest first.
    pub async fn crawls(&self, source: Option<&SourceId>, limit: usize) -> Result<Vec<Crawl>, CrawldbError> {
        Ok(self.store.list_crawls(source, limit).await?)
    }

    /// What the crawl did so far, counted from the items that it touched last.
    pub async fn totals(&self, id: &CrawlId) -> Result<CrawlTotals, CrawldbError> {
        Ok(self.store.counts(&id.source(), Some(id)).await?.totals())
    }

    /// The scopes of the crawl by name. A scope without open items is complete as far as it is known.
    pub async fn scopes(&self, id: &CrawlId) -> Result<Vec<ScopeCount>, CrawldbError> {
        let scopes = self.store.scopes(&id.source(), id).await?;
        Ok(scopes
            .into_iter()
            .map(|(scope, items, open)| ScopeCount { scope, items, open })
            .collect())
    }

    /// Refuses to work for a crawl that is over or that another process took over.
    pub(crate) async fn guard(&self, crawl: &Crawl) -> Result<(), CrawldbError> {
        let stored = self.store.get_crawl(&crawl.id).await?;
        fence(
            &stored.ok_or_else(|| CrawldbError::NoCrawl(crawl.id.clone()))?,
            crawl,
        )
    }

    async fn swap_crawl(
        &self,
        id: &CrawlId,
        change: impl Fn(Crawl) -> Result<Crawl, CrawldbError>,
    ) -> Result<Crawl, CrawldbError> {
        for _ in 0..MAX_SWAPS {
            let stored = self.store.get_crawl(id).await?;
            let changed = change(stored.ok_or_else(|| CrawldbError::NoCrawl(id.clone()))?)?;
            match self.store.put_crawl(&changed).await? {
                Written::Done(revision) => return Ok(Crawl { revision, ..changed }),
                Written::Conflict(_) => self.figures.add_conflicts(1),
            }
        }
        Err(CrawldbError::Contention(format!("crawl {id}")))
    }
}

fn new_crawl(source: &Source, service: &str, start: Timestamp) -> Crawl {
    Crawl {
        id: CrawlId::at(&source.id, start),
        revision: Revision::NEW,
        status: CrawlStatus::Pending,
        started_at: start,
        ended_at: None,
        configuration: source.configuration,
        epoch: source.lock_epoch + 1,
        service: service.to_owned(),
        totals: CrawlTotals::default(),
        fetched_bytes: 0,
        fetches: 0,
        processing_ms: 0,
        reason: None,
    }
}

fn over(crawl: Crawl, status: CrawlStatus, reason: Option<String>, now: Timestamp) -> Crawl {
    Crawl {
        status,
        reason,
        ended_at: Some(now.max(crawl.started_at)),
        ..crawl
    }
}

fn fence(stored: &Crawl, held: &Crawl) -> Result<(), CrawldbError> {
    if stored.epoch != held.epoch || stored.status.is_over() {
        return Err(CrawldbError::Fenced(held.id.clone()));
    }
    Ok(())
}
