//! Every arrow between the states of an item, as a plain function from what is stored to what to store.
//!
//! Nothing here reads a clock, a store or a random number. The handle stores each answer by compare-and-swap and asks
//! again when another writer was faster, so every function must decide from the item alone.

mod attempt;
mod live;
pub mod orphan;
mod removal;
mod ruling;
mod settling;
mod sighting;

use std::time::Duration;

use model::{CrawlId, Rank, Timestamp, Version};

use crate::records::{Crawl, Item, ItemState, Lease};

pub use self::attempt::{Attempt, Finished, Outcome, Terms, finish};
pub use self::live::{LiveTerms, LiveWrite, live};
pub use self::removal::remove;
pub use self::ruling::{MAX_REASON_BYTES, rule};
pub use self::settling::{MAX_ERROR_BYTES, MAX_RETRY_AFTER};
pub use self::sighting::{MAX_ALIASES, Seen, Sighting, sight};

/// The version of everything that `crawl` writes.
pub fn version_of(crawl: &Crawl) -> Version {
    version_by(&crawl.id)
}

/// The same, by its id.
fn version_by(crawl: &CrawlId) -> Version {
    Version::new(crawl.started_at(), Rank::Crawl, 0)
}

fn make_due(item: &mut Item, at: Timestamp) {
    item.state = ItemState::Pending;
    item.lease = None;
    item.next_attempt_at = at;
}

/// The item under a new lease; none where it may not be claimed now.
pub fn claim(item: &Item, owner: &str, lease: Duration, now: Timestamp) -> Option<Item> {
    let claimable =
        matches!(item.state, ItemState::Pending | ItemState::Failure) && item.next_attempt_at <= now;
    if !claimable {
        return None;
    }
    let mut item = item.clone();
    item.epoch += 1;
    item.state = ItemState::InFlight;
    item.lease = Some(Lease {
        owner: owner.to_owned(),
        epoch: item.epoch,
        until: now.after(lease),
    });
    Some(item)
}

/// The item without its lease and due at once; none where it has none. Not counted as a failure.
pub fn release(item: &Item, now: Timestamp) -> Option<Item> {
    if item.state != ItemState::InFlight {
        return None;
    }
    let mut item = item.clone();
    make_due(&mut item, now);
    Some(item)
}
