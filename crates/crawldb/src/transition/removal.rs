//! The end of a source.

use model::{Rank, Timestamp, Version};

use super::Finished;
use super::settling::gone;
use crate::records::{Item, ItemState};

/// The tombstone of an item whose source is removed: newer than everything that was written of it. Stale where it is
/// one already.
pub fn remove(item: &Item, now: Timestamp) -> Finished {
    if item.state == ItemState::Deleted {
        return Finished::Stale(item.id.clone());
    }
    let version = item.version.max(Version::new(now, Rank::Live, 0));
    let mut item = item.clone();
    item.lease = None;
    gone(item, version, "its source was removed", now)
}
