//! Crawls that run, and what the history says of them.

use model::{CrawlId, SourceId, Timestamp};

use crate::error::CrawldbError;
use crate::handle::{Crawldb, MAX_SWAPS};
use crate::port::Written;
use crate::records::{Crawl, CrawlStatus, CrawlTotals, Scope, Source};
use crate::start::CRAWL_LEASE;

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

/// What was done for a crawl since it was last recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Work {
    /// Requests that were answered.
    pub fetches: u64,
    /// Bytes of bodies as they came.
    pub fetched_bytes: u64,
    /// Milliseconds spent on them.
    pub processing_ms: u64,
    /// Items that were written to the index.
    pub indexed: u64,
}

impl Crawldb {
    /// Moves a running crawl to another status. Ends go through [`end_crawl`](Self::end_crawl).
    pub async fn set_status(&self, crawl: &Crawl, status: CrawlStatus) -> Result<Crawl, CrawldbError> {
        self.swap_crawl(&crawl.id, |stored| {
            fence(&stored, crawl)?;
            Ok(Crawl { status, ..stored })
        })
        .await
    }

    /// Changes a running crawl: what it knows of its enumeration, its marks, its orphans. `change` may be asked again.
    pub async fn update_crawl(
        &self,
        crawl: &Crawl,
        change: impl Fn(&mut Crawl) + Send + Sync,
    ) -> Result<Crawl, CrawldbError> {
        self.swap_crawl(&crawl.id, |mut stored| {
            fence(&stored, crawl)?;
            change(&mut stored);
            Ok(stored)
        })
        .await
    }

    /// Changes a crawl that is over: a person approves what a guard blocked. `change` may be asked again.
    pub async fn amend_crawl(
        &self,
        id: &CrawlId,
        change: impl Fn(&mut Crawl) + Send + Sync,
    ) -> Result<Crawl, CrawldbError> {
        self.swap_crawl(id, |mut stored| {
            change(&mut stored);
            Ok(stored)
        })
        .await
    }

    /// Ends a crawl with a recount of its items and gives the source's lock back. Ending it again changes nothing; a
    /// process that it was taken from cannot end it.
    pub async fn end_crawl(
        &self,
        held: &Crawl,
        status: CrawlStatus,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Crawl, CrawldbError> {
        let totals = self.recount(&held.id).await?;
        let end = |stored: Crawl| Crawl {
            totals,
            ..over(stored, status, reason.clone(), now)
        };
        let crawl = self
            .swap_crawl(&held.id, |stored| match stored.status.is_over() {
                _ if stored.epoch != held.epoch => Err(CrawldbError::Fenced(stored.id)),
                true => Ok(stored),
                false => Ok(end(stored)),
            })
            .await?;
        let source = self.store.get_source(&held.id.source()).await?;
        if !source.is_some_and(|source| source.active_crawls.contains(&held.id)) {
            return Ok(crawl);
        }
        // What others finished between the count and the end; from now on they are fenced.
        let totals = self.recount(&held.id).await?;
        let crawl = if totals == crawl.totals {
            crawl
        } else {
            self.swap_crawl(&held.id, |stored| Ok(Crawl { totals, ..stored }))
                .await?
        };
        self.unlock(&held.id).await?;
        Ok(crawl)
    }

    async fn recount(&self, id: &CrawlId) -> Result<CrawlTotals, CrawldbError> {
        self.store.refresh().await?;
        self.totals(id).await
    }

    async fn unlock(&self, crawl: &CrawlId) -> Result<(), CrawldbError> {
        let release = |mut stored: Source| {
            stored.active_crawls.retain(|holder| holder != crawl);
            stored
        };
        self.swap_source(&crawl.source(), |stored| Ok(release(stored)))
            .await?;
        Ok(())
    }

    /// Adds to the figures of the crawl's history record, and is a sign of life of the process that runs it, if that is
    /// `held`'s. Others who work for the crawl add, too.
    pub async fn add_work(&self, held: &Crawl, work: Work, now: Timestamp) -> Result<(), CrawldbError> {
        let add = |stored: Crawl| Crawl {
            fetches: stored.fetches + work.fetches,
            fetched_bytes: stored.fetched_bytes + work.fetched_bytes,
            processing_ms: stored.processing_ms + work.processing_ms,
            indexed: stored.indexed + work.indexed,
            alive_until: if stored.epoch == held.epoch && stored.service == held.service {
                now.after(CRAWL_LEASE)
            } else {
                stored.alive_until
            },
            ..stored
        };
        self.swap_crawl(&held.id, |stored| Ok(add(stored))).await?;
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

    /// The crawl as stored, if it runs, nobody took it over, and the source's lock names it.
    ///
    /// # Errors
    ///
    /// [`CrawldbError::Fenced`] where the caller must stop working on it.
    pub async fn holds(&self, held: &Crawl) -> Result<Crawl, CrawldbError> {
        let stored = self.store.get_crawl(&held.id).await?;
        let stored = stored.ok_or_else(|| CrawldbError::NoCrawl(held.id.clone()))?;
        fence(&stored, held)?;
        let source = self.store.get_source(&held.id.source()).await?;
        if source.is_some_and(|source| source.active_crawls.contains(&held.id)) {
            return Ok(stored);
        }
        Err(CrawldbError::Fenced(held.id.clone()))
    }

    /// Refuses to work for a crawl that is over or that another process took over.
    pub(crate) async fn guard(&self, crawl: &Crawl) -> Result<(), CrawldbError> {
        let stored = self.store.get_crawl(&crawl.id).await?;
        fence(
            &stored.ok_or_else(|| CrawldbError::NoCrawl(crawl.id.clone()))?,
            crawl,
        )
    }

    pub(crate) async fn swap_crawl(
        &self,
        id: &CrawlId,
        change: impl Fn(Crawl) -> Result<Crawl, CrawldbError>,
    ) -> Result<Crawl, CrawldbError> {
        for _ in 0..MAX_SWAPS {
            let stored = self.store.get_crawl(id).await?;
            let stored = stored.ok_or_else(|| CrawldbError::NoCrawl(id.clone()))?;
            let changed = change(stored.clone())?;
            if changed == stored {
                return Ok(stored);
            }
            match self.store.put_crawl(&changed).await? {
                Written::Done(revision) => return Ok(Crawl { revision, ..changed }),
                Written::Conflict(_) => self.figures.add_conflicts(1),
            }
        }
        Err(CrawldbError::Contention(format!("crawl {id}")))
    }
}

/// A crawl that was reopened for its orphans keeps the end that it had: its speeds are those of the crawl.
pub(crate) fn over(crawl: Crawl, status: CrawlStatus, reason: Option<String>, now: Timestamp) -> Crawl {
    Crawl {
        status,
        reason,
        ended_at: crawl.ended_at.or(Some(now.max(crawl.started_at))),
        ..crawl
    }
}

fn fence(stored: &Crawl, held: &Crawl) -> Result<(), CrawldbError> {
    if stored.epoch != held.epoch || stored.status.is_over() {
        return Err(CrawldbError::Fenced(held.id.clone()));
    }
    Ok(())
}
