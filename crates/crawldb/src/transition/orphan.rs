//! What becomes of items that a complete crawl missed.

use model::{CrawlId, Rank, Timestamp, Version};

use super::settling::gone;
use super::{Finished, make_due};
use crate::records::{Crawl, Decision, Item, ItemState, Orphan, OrphanPolicy};

/// The version of everything that is deleted because `crawl` missed it: it loses to what the crawl wrote, and to every
/// live update since its start.
pub fn version_of(crawl: &Crawl) -> Version {
    Version::new(crawl.started_at, Rank::OrphanDelete, 0)
}

/// Whether the crawl missed the item: nobody saw it or wrote it since the crawl began, and nobody works on it.
pub fn is_missed(item: &Item, crawl: &Crawl) -> bool {
    may_be_missed(item)
        && item.seen_crawl_at < crawl.started_at
        && item.last_updated.is_none_or(|at| at < crawl.started_at)
        && item.version < version_of(crawl)
}

/// What a crawl that was cancelled left behind may be missed by the next one; what the source itself told of and could
/// not be read yet may not.
fn may_be_missed(item: &Item) -> bool {
    match item.state {
        ItemState::Pending | ItemState::Failure => item.crawl != CrawlId::live(&item.source),
        ItemState::InFlight | ItemState::Deleted => false,
        _ => true,
    }
}

/// The item as a candidate, missed once more; the same crawl counts once. None where it was not missed.
pub fn mark(item: &Item, crawl: &Crawl) -> Option<Item> {
    if !is_missed(item, crawl) || item.state == ItemState::Deleting {
        return None;
    }
    let mut item = item.clone();
    let orphan = item.orphan.get_or_insert(Orphan {
        since: crawl.started_at,
        misses: 0,
        last: Timestamp::default(),
    });
    if orphan.last < crawl.started_at {
        orphan.misses += 1;
        orphan.last = crawl.started_at;
    }
    item.state = ItemState::OrphanCandidate;
    Some(item)
}

/// Whether the candidate's grace is over.
pub fn is_grace_over(item: &Item, policy: &OrphanPolicy, now: Timestamp) -> bool {
    item.orphan.as_ref().is_some_and(|orphan| {
        orphan.misses >= policy.grace_crawls
            && now.since(orphan.since).as_millis() >= u128::from(policy.grace_ms)
    })
}

/// The candidate as an item that is there: the source, or a person, said so. None where it is no candidate.
///
/// One that was never read is due, without a crawl.
pub fn keep(item: &Item, now: Timestamp) -> Option<Item> {
    if item.state != ItemState::OrphanCandidate {
        return None;
    }
    let mut item = item.clone();
    item.orphan = None;
    if item.version == Version::NONE && item.last_error.is_none() {
        item.crawl = CrawlId::live(&item.source);
        make_due(&mut item, now);
        return Some(item);
    }
    item.state = state_if_present(&item);
    item.last_updated = Some(now);
    Some(item)
}

/// The state of a candidate that turns out to be there: what could not be read is still a person's to decide about.
pub(super) fn state_if_present(item: &Item) -> ItemState {
    let ignores = |item: &Item| {
        item.ruling
            .as_ref()
            .is_some_and(|ruling| ruling.decision == Decision::Ignore)
    };
    match &item.last_error {
        None => ItemState::Unchanged,
        Some(_) if ignores(item) => ItemState::Ignored,
        Some(_) => ItemState::Escalated,
    }
}

/// The candidate on its way out; none where it is no longer one that `crawl` missed.
pub fn begin_delete(item: &Item, crawl: &Crawl) -> Option<Item> {
    if item.state != ItemState::OrphanCandidate || !is_missed(item, crawl) {
        return None;
    }
    Some(Item {
        state: ItemState::Deleting,
        ..item.clone()
    })
}

/// The tombstone; stale where the item came back meanwhile.
pub fn delete(item: &Item, version: Version, reason: &str, now: Timestamp) -> Finished {
    if item.state != ItemState::Deleting || item.version >= version {
        return Finished::Stale(item.id.clone());
    }
    gone(item.clone(), version, reason, now)
}
