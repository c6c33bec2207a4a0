//! The items that were not looked at for the longest time.

use std::collections::BinaryHeap;

use crawldb::{Crawl, Item, ItemState};
use model::{ItemId, Timestamp};

/// Keeps the `limit` oldest of all that it is offered.
pub(super) struct Oldest {
    limit: usize,
    /// The youngest of them is on top.
    kept: BinaryHeap<(Timestamp, ItemId)>,
}

impl Oldest {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            kept: BinaryHeap::new(),
        }
    }

    pub(super) fn offer(&mut self, looked_at: Timestamp, id: ItemId) {
        self.kept.push((looked_at, id));
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    /// Their ids, the oldest first.
    pub(super) fn into_ids(self) -> Vec<ItemId> {
        let sorted = self.kept.into_sorted_vec();
        sorted.into_iter().map(|(_, id)| id).collect()
    }
}

/// When somebody last looked at the item. Those that this crawl asked for, or began to delete, come first: they are not
/// done. None for items that are left to people.
pub(super) fn looked_at(item: &Item, crawl: &Crawl) -> Option<Timestamp> {
    let asked = item.orphan.as_ref().map(|orphan| orphan.last);
    match item.state {
        ItemState::Deleting => Some(Timestamp::default()),
        ItemState::OrphanCandidate if asked == Some(crawl.started_at) => Some(Timestamp::default()),
        ItemState::Escalated | ItemState::Ignored => None,
        _ => Some(asked.max(item.last_updated).unwrap_or_default()),
    }
}
