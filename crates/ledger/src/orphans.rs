//! What a complete crawl missed.
//!
//! A crawl that has processed everything says of what it did not see: it may be gone. It may also be hidden behind an
//! error, be told of by the source itself at this moment, or be missing from a listing that ended too early. So nothing
//! is deleted unless all of this holds, and the reason is on the crawl's record where it does not:
//!
//! 1. the crawl was a full one and its enumeration ended; what a scope that was not enumerated to its end, or a page that
//!    was not read, may hide is protected (`lineage`);
//! 2. every item of the crawl is terminal, by its record;
//! 3. live updates from before the end of the enumeration are applied (`doubt`, as the two above);
//! 4. the store was refreshed, so scans see everything;
//! 5. the number of candidates is plausible, or a person approved it (`guard`);
//! 6. the crawl holds its source's lock, asked again before every batch of deletions.
//!
//! Then, page by page: mark, wait out the grace, ask the source, and delete by way of DELETING (`verdict`). Each step is a
//! compare-and-swap that looks at the item anew, so a sweep may be killed anywhere and called again, and who sees or
//! writes the item meanwhile wins.

mod doubt;
mod guard;
mod lineage;
mod missed;
mod oldest;
mod rotation;
mod survey;
mod verdict;

use std::time::Duration;

use async_trait::async_trait;
use crawldb::{Crawl, CrawlStatus, DeletionCapability, Item, OrphanReport, Source};
use model::{CrawlId, Timestamp};

use self::survey::Survey;
use crate::{Ledger, LedgerError};

/// The group that applies the live updates of every source: what it committed is applied.
pub const LIVE_GROUP: &str = "live";

/// A source that could not tell of an item, or whose live updates were not applied yet, is asked again after this time.
pub const RETRY_DEFERRED: Duration = Duration::from_secs(10 * 60);

/// What the source says of one item when it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is gone, and how the source said so.
    Gone(String),
    /// The source could not tell: it is asked again by the next sweep.
    Unknown(String),
}

/// Asks a source for one item.
#[async_trait]
pub trait Verify: Send + Sync {
    /// What the source says; none where it cannot be asked for single items.
    async fn verify(&self, item: &Item) -> Option<Presence>;
}

/// What a sweep works with.
pub struct Sweep<'a> {
    /// The crawl that missed items; the caller holds its lock and keeps it alive meanwhile.
    pub crawl: &'a Crawl,
    /// Its source.
    pub source: &'a Source,
    /// Asks the source.
    pub verify: &'a dyn Verify,
    /// Tells the time.
    pub clock: &'a (dyn Fn() -> Timestamp + Send + Sync),
}

impl Ledger {
    /// Looks for what the crawl missed, and deletes what may be deleted. May be killed anywhere, and called again: what
    /// was begun is ended, and what was done counts once.
    ///
    /// The report is in the crawl's record, too, and says how the crawl [ends](OrphanReport::ending). Evidence is taken
    /// from the crawl as stored, not from the caller's copy. It takes memory for two thousand items and their parents,
    /// however many the source has.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crawldb::CrawldbError::Fenced) where the caller does not hold the crawl (any more).
    pub async fn sweep(&self, sweep: &Sweep<'_>) -> Result<OrphanReport, LedgerError> {
        let crawl = self.crawldb.holds(sweep.crawl).await?;
        self.crawldb.store().refresh().await?;
        let survey = Survey::new(self, sweep, &crawl);
        let found = match self.doubt(&crawl, sweep.source).await? {
            Some(doubt) => doubt.report((sweep.clock)()),
            None => match sweep.source.settings.deletion {
                DeletionCapability::Explicit => survey.census().await?.report(),
                DeletionCapability::Enumerate | DeletionCapability::None => survey.diff().await?,
                DeletionCapability::FetchOnly => survey.ask_oldest().await?,
            },
        };
        let report = survey.record(&found, Some((sweep.clock)())).await?;
        tracing::info!(crawl = %crawl.id, candidates = report.candidates, deleted = report.deleted,
            withheld = report.withheld, blocked = report.blocked, "swept");
        Ok(report)
    }

    /// Crawls that are over and whose sweep may get further by now: a grace is over, the source may be asked again, live
    /// updates may have been applied meanwhile, or a person approved what was blocked.
    ///
    /// Whoever looks after orphans takes the lock of each again (`reopen_for_orphans`), sweeps, and ends it. Only the
    /// newest crawl of a source can be among them, and only while none runs.
    pub async fn orphans_due(&self, now: Timestamp) -> Result<Vec<CrawlId>, LedgerError> {
        let mut due = Vec::new();
        for source in self.crawldb.sources().await? {
            let Some(start) = source
                .last_crawl_start
                .filter(|_| source.deleting_since.is_none())
            else {
                continue;
            };
            let newest = self.crawldb.crawl(&CrawlId::at(&source.id, start)).await?;
            let Some(crawl) = newest.filter(|crawl| may_get_further(crawl, now)) else {
                continue;
            };
            if self.crawldb.running(&source).await?.is_empty() {
                due.push(crawl.id);
            }
        }
        Ok(due)
    }
}

fn may_get_further(crawl: &Crawl, now: Timestamp) -> bool {
    match crawl.status {
        CrawlStatus::Completed => crawl.orphans.again_at.is_some_and(|at| at <= now),
        CrawlStatus::Blocked => crawl.orphans.approval.is_some(),
        _ => false,
    }
}
