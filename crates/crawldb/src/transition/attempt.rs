//! What comes of a claimed item.

use std::time::Duration;

use model::{ArchiveKey, Checksum, ItemId, Timestamp};

use super::settling::{Settling, settle};
use super::version_of;
use crate::records::{Crawl, Disposition, Item, ItemError, ItemState, RetryPolicy, Revision};

/// An item that was claimed, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The item as the claim returned it.
    pub item: Item,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of processing an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The item was read.
    Applied {
        /// Of the bytes as fetched; none where nothing was fetched.
        checksum: Option<Checksum>,
        /// What it is to the search.
        disposition: Disposition,
        /// The archived bytes.
        content: Option<ArchiveKey>,
        /// The archived extract; needed for an indexed item.
        extract: Option<ArchiveKey>,
        /// `ETag` of the answer.
        etag: Option<String>,
        /// `Last-Modified` of the answer, as it came.
        last_modified: Option<String>,
    },
    /// The source said that nothing changed (HTTP 304), or the checksum was equal. A failure that is tried again where
    /// nothing is known of the item.
    Unchanged {
        /// `ETag` of the answer; the old one stays where there is none.
        etag: Option<String>,
        /// `Last-Modified` of the answer; the old one stays where there is none.
        last_modified: Option<String>,
    },
    /// The source said that the item no longer exists.
    Gone {
        /// How it said so.
        reason: String,
    },
    /// The attempt failed.
    Failed {
        /// Why.
        error: ItemError,
        /// The wait that the server asked for, honoured up to [`MAX_RETRY_AFTER`](super::MAX_RETRY_AFTER).
        retry_after: Option<Duration>,
        /// Whether another attempt may succeed.
        retryable: bool,
    },
    /// The listener gives the item back untouched: it stops, or has no slot for it.
    Released,
}

/// What an attempt did to the item, with the item as it is stored now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It has new content or a new disposition.
    Applied {
        /// The item.
        item: Item,
        /// Whether a document of it was searched until now.
        was_indexed: bool,
    },
    /// It is what it was.
    Unchanged(Item),
    /// It is a tombstone.
    Deleted {
        /// The tombstone.
        item: Item,
        /// Whether a document of it was searched until now.
        was_indexed: bool,
    },
    /// It is due again at `next_attempt_at`.
    Retry(Item),
    /// A person decides.
    Escalated(Item),
    /// It is due at once, and nothing counts as a failure.
    Released(Item),
    /// Another write won, or the lease was lost: nothing of the attempt was taken.
    Stale(ItemId),
}

impl Finished {
    /// The item as written; none where nothing was.
    pub fn item(&self) -> Option<&Item> {
        match self {
            Self::Applied { item, .. }
            | Self::Unchanged(item)
            | Self::Deleted { item, .. }
            | Self::Retry(item)
            | Self::Escalated(item)
            | Self::Released(item) => Some(item),
            Self::Stale(_) => None,
        }
    }

    /// The item, where what is searched of it may be another thing now.
    pub fn told(&self) -> Option<&Item> {
        let is_indexed = |item: &Item| item.disposition == Some(Disposition::Indexed);
        match self {
            Self::Applied { item, was_indexed } => (*was_indexed || is_indexed(item)).then_some(item),
            Self::Deleted { item, was_indexed } => was_indexed.then_some(item),
            _ => None,
        }
    }

    pub(crate) fn with_revision(mut self, revision: Revision) -> Self {
        match &mut self {
            Self::Applied { item, .. }
            | Self::Unchanged(item)
            | Self::Deleted { item, .. }
            | Self::Retry(item)
            | Self::Escalated(item)
            | Self::Released(item) => item.revision = revision,
            Self::Stale(_) => {}
        }
        self
    }
}

/// When and how `finish` decides.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The crawl whose lease the attempt holds.
    pub crawl: &'a Crawl,
    /// When failed attempts are tried again.
    pub retry: &'a RetryPolicy,
    /// The time of the write.
    pub now: Timestamp,
    /// From 0 to 1: where in the upper half of the wait the retry falls.
    pub jitter: f64,
}

/// What the attempt makes of the item as stored, to be written unless it is stale.
pub fn finish(stored: &Item, attempt: &Attempt, terms: &Terms<'_>) -> Finished {
    if !holds_lease(stored, &attempt.item, terms.crawl) {
        return Finished::Stale(stored.id.clone());
    }
    let item = Item {
        lease: None,
        ..stored.clone()
    };
    let how = Settling {
        version: version_of(terms.crawl),
        retry: terms.retry,
        now: terms.now,
        jitter: terms.jitter,
    };
    settle(item, &attempt.outcome, &how)
}

/// Whether the attempt may still write: same crawl, same lease, and no newer write in between.
fn holds_lease(stored: &Item, claimed: &Item, crawl: &Crawl) -> bool {
    let same_lease = match (&stored.lease, &claimed.lease) {
        (Some(live), Some(held)) => live.epoch == held.epoch && live.owner == held.owner,
        _ => false,
    };
    same_lease
        && stored.state == ItemState::InFlight
        && stored.crawl == crawl.id
        && stored.version <= version_of(crawl)
}
