//! How much a sweep may delete without asking a person.

use crawldb::{Counts, Crawl, CrawlKind, CrawlStatus, ItemState, OrphanPolicy};

use crate::{Ledger, LedgerError};

/// How many crawls are looked through for the last complete one; the second number only where the first does not do.
const LOOKED_THROUGH: [usize; 2] = [100, 10_000];

/// What a crawl saw, and what the last complete one before it saw, where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) now: u64,
    pub(super) before: Option<u64>,
}

/// Items that are there as far as anybody knows.
pub(super) fn live_items(counts: &Counts) -> u64 {
    let live = counts
        .by_state
        .iter()
        .filter(|(state, _)| **state != ItemState::Deleted);
    live.map(|(_, (all, _))| all).sum()
}

/// Why a person must approve that so many of the live items go; none where they need not. What is compared is written so
/// that a setting that is no number objects.
pub(super) fn too_many(candidates: u64, live: u64, policy: &OrphanPolicy) -> Option<String> {
    let part = policy.guard_percent / 100.0 * live as f64;
    let fits = candidates <= policy.guard_items || candidates as f64 <= part;
    (!fits).then(|| {
        format!(
            "{candidates} of {live} items are missing, more than {} % and more than {}",
            policy.guard_percent, policy.guard_items
        )
    })
}

/// Why a crawl that saw so few does not say much about what it missed.
pub(super) fn too_few(sight: Sight, live: u64, policy: &OrphanPolicy) -> Option<String> {
    if live == 0 {
        return None;
    }
    if sight.now == 0 {
        return Some(format!("the crawl saw nothing, and {live} items are known"));
    }
    let before = sight.before?;
    let fits = sight.now as f64 >= policy.min_seen_percent / 100.0 * before as f64;
    (!fits).then(|| {
        format!(
            "the crawl saw {} items, less than {} % of the {before} that the last complete one saw",
            sight.now, policy.min_seen_percent
        )
    })
}

impl Ledger {
    /// Why a person must approve what the crawl would delete or mark; none where that is plausible.
    pub(super) async fn objection(
        &self,
        crawl: &Crawl,
        candidates: u64,
        policy: &OrphanPolicy,
    ) -> Result<Option<String>, LedgerError> {
        let live = live_items(&self.crawldb.store().counts(&crawl.id.source(), None).await?);
        if let Some(objection) = too_many(candidates, live, policy) {
            return Ok(Some(objection));
        }
        // Items that were requeued since do not belong to the crawl any more.
        let now = self.crawldb.totals(&crawl.id).await?.seen.max(crawl.totals.seen);
        let before = self.seen_before(crawl).await?;
        Ok(too_few(Sight { now, before }, live, policy))
    }

    /// What the last complete crawl before this one saw.
    async fn seen_before(&self, crawl: &Crawl) -> Result<Option<u64>, LedgerError> {
        let source = crawl.id.source();
        let is_complete = |before: &&Crawl| {
            before.started_at < crawl.started_at
                && before.status == CrawlStatus::Completed
                && before.kind == CrawlKind::Full
        };
        for limit in LOOKED_THROUGH {
            let crawls = self.crawldb.crawls(Some(&source), limit).await?;
            let complete = crawls.iter().find(is_complete);
            if complete.is_some() || crawls.len() < limit {
                return Ok(complete.map(|complete| complete.totals.seen));
            }
        }
        Ok(None)
    }
}
