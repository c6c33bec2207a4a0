//! Every arrow between the states of an item, as a plain function from what is stored to what to store.
//!
//! Nothing here reads a clock, a store or a random number. The handle stores each answer by compare-and-swap and asks
//! again when another writer was faster, so every function must decide from the item alone.

use std::time::Duration;

use model::{ArchiveKey, Checksum, ItemId, PageUrl, Rank, Timestamp, Version};

use crate::records::{
    Crawl, Disposition, Item, ItemError, ItemErrorKind, ItemState, Lease, RetryPolicy, Revision, Scope,
};

/// Aliases that an item keeps at most; the oldest goes first.
pub const MAX_ALIASES: usize = 20;
/// Bytes of an error message at most.
pub const MAX_ERROR_BYTES: usize = 500;
/// The longest wait that a `Retry-After` may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// An item that a crawl found: in a sitemap, a link, a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The item.
    pub id: ItemId,
    /// Where it is.
    pub url: PageUrl,
    /// The scope that it belongs to, the host for web items; must not change over the life of an item.
    pub scope: Scope,
    /// The item whose content named it.
    pub parent: Option<ItemId>,
    /// Links from a start URL.
    pub depth: u32,
    /// An item that redirects to it or names it as canonical.
    pub alias: Option<ItemId>,
}

/// What a sighting meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The item was never seen before; it is now due.
    New,
    /// Older crawls knew it; it is now due for this one.
    Again,
    /// This crawl had seen it already.
    Known,
}

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
    /// The source said that nothing changed (HTTP 304), or the checksum was equal.
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
        /// The wait that the server asked for, honoured up to [`MAX_RETRY_AFTER`].
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
    Applied(Item),
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
            Self::Applied(item)
            | Self::Unchanged(item)
            | Self::Deleted { item, .. }
            | Self::Retry(item)
            | Self::Escalated(item)
            | Self::Released(item) => Some(item),
            Self::Stale(_) => None,
        }
    }

    pub(crate) fn with_revision(mut self, revision: Revision) -> Self {
        match &mut self {
            Self::Applied(item)
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

/// The version of everything that `crawl` writes.
pub fn version_of(crawl: &Crawl) -> Version {
    Version::new(crawl.started_at, Rank::Crawl, 0)
}

/// What `sighting` makes of the item as stored; no item where there is nothing to write.
pub fn sight(
    stored: Option<&Item>,
    sighting: &Sighting,
    crawl: &Crawl,
    now: Timestamp,
) -> (Seen, Option<Item>) {
    match stored {
        None => (Seen::New, Some(first_seen(sighting, crawl, now))),
        Some(item) if item.seen_crawl_at >= crawl.started_at => (Seen::Known, merged(item, sighting)),
        Some(item) if item.version > version_of(crawl) && !item.state.is_open() => {
            (Seen::Known, Some(met(item, sighting, crawl)))
        }
        Some(item) => {
            let mut item = met(item, sighting, crawl);
            make_due(&mut item, now);
            (Seen::Again, Some(item))
        }
    }
}

fn first_seen(sighting: &Sighting, crawl: &Crawl, now: Timestamp) -> Item {
    Item {
        source: crawl.id.source(),
        id: sighting.id.clone(),
        url: sighting.url.clone(),
        scope: sighting.scope.clone(),
        state: ItemState::Pending,
        version: Version::NONE,
        revision: Revision::NEW,
        crawl: crawl.id.clone(),
        configuration: crawl.configuration,
        seen_crawl_at: crawl.started_at,
        first_seen_at: crawl.started_at,
        last_updated: None,
        next_attempt_at: now,
        lease: None,
        epoch: 0,
        retry_count: 0,
        consecutive_failures: 0,
        last_error: None,
        checksum: None,
        disposition: None,
        content: None,
        extract: None,
        etag: None,
        last_modified: None,
        parent: sighting.parent.clone(),
        depth: sighting.depth,
        aliases: sighting.alias.iter().cloned().collect(),
        orphan: None,
    }
}

/// The item as one of this crawl. Content, checksum, version and validators stay: they say what was known before. An
/// item that a live update wrote after the start of the crawl needs nothing more: what the crawl could write is stale.
fn met(item: &Item, sighting: &Sighting, crawl: &Crawl) -> Item {
    let mut item = merged(item, sighting).unwrap_or_else(|| item.clone());
    item.crawl = crawl.id.clone();
    item.configuration = crawl.configuration;
    item.seen_crawl_at = crawl.started_at;
    item.depth = sighting.depth;
    item.parent = sighting.parent.clone().or(item.parent);
    item.retry_count = 0;
    item.orphan = None;
    item
}

/// The item with the shorter way to it and the new alias; none where it knew both.
fn merged(item: &Item, sighting: &Sighting) -> Option<Item> {
    let alias = sighting
        .alias
        .as_ref()
        .filter(|alias| !item.aliases.contains(alias));
    if alias.is_none() && sighting.depth >= item.depth {
        return None;
    }
    let mut item = item.clone();
    if sighting.depth < item.depth {
        item.depth = sighting.depth;
        item.parent = sighting.parent.clone().or(item.parent);
    }
    item.aliases.extend(alias.cloned());
    if item.aliases.len() > MAX_ALIASES {
        item.aliases.remove(0);
    }
    Some(item)
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
    let mut item = stored.clone();
    item.lease = None;
    match &attempt.outcome {
        Outcome::Released => released(item, terms.now),
        Outcome::Failed {
            error,
            retry_after,
            retryable,
        } => failed(item, error, *retry_after, *retryable, terms),
        Outcome::Gone { reason } => gone(item, reason, terms),
        Outcome::Unchanged { etag, last_modified } => {
            keep_validators(&mut item, etag.as_ref(), last_modified.as_ref());
            unchanged(item, terms)
        }
        Outcome::Applied {
            checksum,
            disposition,
            content,
            extract,
            etag,
            last_modified,
        } => {
            let answer = Answer {
                checksum,
                disposition,
                content,
                extract,
                etag,
                last_modified,
            };
            applied(item, &answer, terms)
        }
    }
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

fn released(mut item: Item, now: Timestamp) -> Finished {
    make_due(&mut item, now);
    Finished::Released(item)
}

/// What was indexed before stays: a failure says nothing about the content.
fn failed(
    mut item: Item,
    error: &ItemError,
    retry_after: Option<Duration>,
    retryable: bool,
    terms: &Terms<'_>,
) -> Finished {
    item.retry_count = item.retry_count.saturating_add(1);
    item.consecutive_failures = item.consecutive_failures.saturating_add(1);
    item.last_error = Some(ItemError {
        message: shortened(&error.message),
        ..error.clone()
    });
    if !retryable || item.retry_count > terms.retry.max_retries {
        item.state = ItemState::Escalated;
        return Finished::Escalated(item);
    }
    let wait = terms
        .retry
        .delay(item.retry_count)
        .mul_f64(0.5 + 0.5 * terms.jitter.clamp(0.0, 1.0));
    let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    item.state = ItemState::Failure;
    item.next_attempt_at = terms.now.after(wait.max(asked));
    Finished::Retry(item)
}

/// The tombstone keeps the version, so that nothing older brings the item back.
fn gone(mut item: Item, reason: &str, terms: &Terms<'_>) -> Finished {
    let was_indexed = item.disposition == Some(Disposition::Indexed);
    settle(&mut item, ItemState::Deleted, terms);
    item.last_error = Some(ItemError {
        kind: ItemErrorKind::Client,
        message: shortened(reason),
        at: terms.now,
    });
    item.checksum = None;
    item.disposition = None;
    item.content = None;
    item.extract = None;
    item.etag = None;
    item.last_modified = None;
    Finished::Deleted { item, was_indexed }
}

fn unchanged(mut item: Item, terms: &Terms<'_>) -> Finished {
    settle(&mut item, ItemState::Unchanged, terms);
    Finished::Unchanged(item)
}

/// The fields of [`Outcome::Applied`].
struct Answer<'a> {
    checksum: &'a Option<Checksum>,
    disposition: &'a Disposition,
    content: &'a Option<ArchiveKey>,
    extract: &'a Option<ArchiveKey>,
    etag: &'a Option<String>,
    last_modified: &'a Option<String>,
}

impl Answer<'_> {
    fn equals(&self, item: &Item) -> bool {
        let complete = *self.disposition != Disposition::Indexed || item.extract.is_some();
        complete && item.checksum == *self.checksum && item.disposition.as_ref() == Some(self.disposition)
    }
}

fn applied(mut item: Item, answer: &Answer<'_>, terms: &Terms<'_>) -> Finished {
    if answer.equals(&item) {
        keep_validators(&mut item, answer.etag.as_ref(), answer.last_modified.as_ref());
        return unchanged(item, terms);
    }
    settle(&mut item, ItemState::Success, terms);
    item.checksum = *answer.checksum;
    item.disposition = Some(answer.disposition.clone());
    item.content.clone_from(answer.content);
    item.extract.clone_from(answer.extract);
    item.etag.clone_from(answer.etag);
    item.last_modified.clone_from(answer.last_modified);
    Finished::Applied(item)
}

/// A processed item: the crawl's version, and no failure any more.
fn settle(item: &mut Item, state: ItemState, terms: &Terms<'_>) {
    item.state = state;
    item.version = version_of(terms.crawl);
    item.last_updated = Some(terms.now);
    item.consecutive_failures = 0;
    item.last_error = None;
}

fn keep_validators(item: &mut Item, etag: Option<&String>, last_modified: Option<&String>) {
    if etag.is_some() {
        item.etag = etag.cloned();
    }
    if last_modified.is_some() {
        item.last_modified = last_modified.cloned();
    }
}

fn shortened(message: &str) -> String {
    message[..message.floor_char_boundary(MAX_ERROR_BYTES)].to_owned()
}
