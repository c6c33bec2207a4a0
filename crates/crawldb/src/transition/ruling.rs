//! What a person decides about an item.

use model::{CrawlId, Rank, Timestamp, Version};

use super::live::give_to_whoever_retries;
use super::settling::{gone, shortened};
use super::{Finished, make_due, orphan};
use crate::records::{Decision, Item, ItemState, Ruling};

/// Bytes of a reason at most.
pub const MAX_REASON_BYTES: usize = 500;

/// What the decision makes of the item; none where it does not fit its state: escalated and ignored items may be
/// requeued, ignored and deleted, candidates for deletion may be kept and deleted.
///
/// A requeued item stays with its crawl while that one is among `running` and may still write it; else it is due without
/// one.
pub fn rule(item: &Item, ruling: &Ruling, running: &[CrawlId], now: Timestamp) -> Option<Finished> {
    let is_escalated = matches!(item.state, ItemState::Escalated | ItemState::Ignored);
    let is_candidate = item.state == ItemState::OrphanCandidate;
    let mut item = item.clone();
    item.ruling = Some(Ruling {
        reason: shortened(&ruling.reason, MAX_REASON_BYTES),
        ..ruling.clone()
    });
    match ruling.decision {
        Decision::Requeue if is_escalated => Some(requeue(item, running, now)),
        Decision::Ignore if is_escalated => {
            item.state = ItemState::Ignored;
            Some(Finished::Unchanged(item))
        }
        Decision::Keep if is_candidate => orphan::keep(&item, now).map(Finished::Unchanged),
        Decision::Delete if is_escalated || is_candidate => Some(delete(item, &ruling.reason, now)),
        _ => None,
    }
}

fn requeue(mut item: Item, running: &[CrawlId], now: Timestamp) -> Finished {
    give_to_whoever_retries(&mut item, running);
    make_due(&mut item, now);
    Finished::Released(item)
}

/// A person's word is as new as the moment it is given.
fn delete(item: Item, reason: &str, now: Timestamp) -> Finished {
    let version = item.version.max(Version::new(now, Rank::Live, 0));
    gone(item, version, reason, now)
}
