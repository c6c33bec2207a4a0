use model::{ArchiveKey, Checksum, CrawlId, ItemId, PageUrl, SourceId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use super::{Revision, Scope};

/// The states of an item; every arrow between them is one compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Known to this crawl and not yet processed.
    Pending,
    /// A listener holds its lease.
    InFlight,
    /// Applied with new content.
    Success,
    /// Fetched, and equal to what was there.
    Unchanged,
    /// A retryable attempt failed; due again at `next_attempt_at`.
    Failure,
    /// Permanent, or retries spent: a person decides.
    Escalated,
    /// A person decided to leave it as it is: crawls see it and pass it by.
    Ignored,
    /// Not seen by the last complete crawl.
    OrphanCandidate,
    /// Its references are being removed.
    Deleting,
    /// A tombstone that keeps the version.
    Deleted,
}

impl ItemState {
    /// Whether the crawl still has to do something about the item.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Pending | Self::InFlight | Self::Failure)
    }

    /// Whether an item in this state may turn out to be an orphan: it is not being worked on, and not gone.
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Success | Self::Unchanged | Self::Escalated | Self::Ignored | Self::OrphanCandidate
        )
    }
}

/// Who works on an item, in which term, until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The listener.
    pub owner: String,
    /// Grows with every claim of the item; a write that carries an older one is stale.
    pub epoch: u64,
    /// When the lease expires and the item is pending again.
    pub until: Timestamp,
}

/// What kind of thing went wrong with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemErrorKind {
    /// The name could not be resolved.
    Dns,
    /// No connection.
    Connect,
    /// The certificate or the handshake was refused.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection broke while the answer came.
    Transfer,
    /// HTTP 429 or 503 with or without `Retry-After`.
    Throttled,
    /// Another HTTP 5xx.
    Server,
    /// Another HTTP 4xx.
    Client,
    /// Redirects in a circle, or too many.
    Redirect,
    /// The address is private, loopback or otherwise not allowed.
    Address,
    /// A limit was reached: body, decompressed size.
    TooLarge,
    /// The content could not be read.
    Content,
    /// Something in Haul's own machinery: disk, archive.
    Internal,
}

/// The last thing that went wrong with an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemError {
    /// What kind.
    pub kind: ItemErrorKind,
    /// In words, at most 500 bytes.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// What a processed item is to the search: only `Indexed` ones have a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is", content = "of")]
pub enum Disposition {
    /// Its document is searched.
    Indexed,
    /// It redirects to, or names as canonical, this item.
    Alias(ItemId),
    /// Its owner asks not to index it.
    Noindex,
    /// robots.txt disallows it; it was not fetched.
    Disallowed,
    /// Not a kind of content that has text, named by its media type; too large an object of a bucket, by its size.
    Unsupported(String),
}

/// Since when, and in how many complete crawls, the item was missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The start of the first crawl that missed it.
    pub since: Timestamp,
    /// Complete crawls that missed it.
    pub misses: u32,
    /// The start of the newest of them; it counts once.
    #[serde(default)]
    pub last: Timestamp,
}

/// One thing in one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Source ID of the seed; half of the key.
    pub source: SourceId,
    /// Item ID of the seed; the other half.
    pub id: ItemId,
    /// Item URL of the seed.
    pub url: PageUrl,
    /// Completeness and order hold per scope.
    pub scope: Scope,
    /// Item status of the seed, in full.
    pub state: ItemState,
    /// The newest write that changed or confirmed its content; never goes back.
    pub version: Version,
    /// Compare-and-swap token: as last read.
    pub revision: Revision,
    /// Crawl ID of the seed: the crawl that last saw it; [`CrawlId::live`] where none did.
    pub crawl: CrawlId,
    /// Datasource Configuration ID of the seed: which version of the source's configuration was in force.
    pub configuration: u64,
    /// The start of the newest crawl that saw it.
    pub seen_crawl_at: Timestamp,
    /// The start of the first crawl that saw it, or when the source first told of it.
    pub first_seen_at: Timestamp,
    /// When it was last applied or found unchanged; never, for an item that was not.
    pub last_updated: Option<Timestamp>,
    /// When it is due, while PENDING or FAILURE.
    pub next_attempt_at: Timestamp,
    /// While IN_FLIGHT.
    pub lease: Option<Lease>,
    /// The epoch of the last lease, live or not.
    pub epoch: u64,
    /// Crawl Retry Count of the seed: failed attempts in this crawl.
    pub retry_count: u32,
    /// Failed attempts in a row, over crawls.
    pub consecutive_failures: u32,
    /// What went wrong last; none after a success.
    pub last_error: Option<ItemError>,
    /// Of the bytes as last fetched.
    pub checksum: Option<Checksum>,
    /// What it is to the search, once processed.
    pub disposition: Option<Disposition>,
    /// The archived bytes.
    pub content: Option<ArchiveKey>,
    /// The archived extract.
    pub extract: Option<ArchiveKey>,
    /// `ETag` of the last answer.
    pub etag: Option<String>,
    /// `Last-Modified` of the last answer, as it came.
    pub last_modified: Option<String>,
    /// The item whose content named this one first.
    pub parent: Option<ItemId>,
    /// Links from a start URL.
    pub depth: u32,
    /// Items that redirect here or name this one as canonical, at most 20.
    pub aliases: Vec<ItemId>,
    /// While it is missed.
    pub orphan: Option<Orphan>,
    /// What a person decided about it last.
    pub ruling: Option<Ruling>,
    /// The newest update that the source told of and that could not be read, until something as new was: what is older
    /// than it is stale.
    #[serde(default)]
    pub unread: Option<Version>,
}

impl Item {
    /// Whether the newest crawl that saw it was the first one.
    pub fn is_new(&self) -> bool {
        self.first_seen_at == self.seen_crawl_at
    }
}

/// What a person may decide about an escalated item, or about one that the source no longer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Try it again.
    Requeue,
    /// Leave it as it is.
    Ignore,
    /// Take it for gone.
    Delete,
    /// It is there: the source only does not show it.
    Keep,
}

/// A decision about an item, kept with its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// What was decided.
    pub decision: Decision,
    /// Why, in words, at most 500 bytes.
    pub reason: String,
    /// Who says so, at most 200 bytes.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
