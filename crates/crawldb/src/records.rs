use std::time::Duration;

use model::{ArchiveKey, Checksum, CrawlId, ItemId, PageUrl, SourceId, Timestamp, Version};
use serde::{Deserialize, Serialize};

/// The compare-and-swap token of a record: a store takes a write only when it still holds this revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The record does not exist yet; a write that carries this creates it.
    pub const NEW: Self = Self(0);
}

/// What items are grouped by inside a source: completeness, order and politeness hold per scope. The host of web
/// items, the prefix of objects.
pub type Scope = String;

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
    /// Crawl ID of the seed: the crawl that last touched it.
    pub crawl: CrawlId,
    /// Datasource Configuration ID of the seed: which version of the source's configuration was in force.
    pub configuration: u64,
    /// The start of the newest crawl that saw it.
    pub seen_crawl_at: Timestamp,
    /// The start of the first crawl that saw it.
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
}

impl Item {
    /// Whether the newest crawl that saw it was the first one.
    pub fn is_new(&self) -> bool {
        self.first_seen_at == self.seen_crawl_at
    }
}

/// How a source can tell that an item is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeletionCapability {
    /// Only its explicit word deletes.
    Explicit,
    /// A complete crawl shows everything that exists.
    #[default]
    Enumerate,
    /// Only fetching an item shows whether it exists.
    FetchOnly,
    /// It cannot.
    None,
}

/// When a failed attempt is tried again: `min(max, initial * multiplier^(n-1))`, with full jitter in the upper half.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryPolicy {
    /// Attempts after the first.
    pub max_retries: u32,
    /// Before the first retry.
    pub initial_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
    /// What each wait grows by.
    pub multiplier: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 3,
            initial_ms: 1_000,
            max_ms: 60_000,
            multiplier: 2.0,
        }
    }
}

impl RetryPolicy {
    /// The wait before retry `n` (from 1), without jitter.
    pub fn delay(&self, n: u32) -> Duration {
        let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
        let millis =
            (self.initial_ms as f64 * self.multiplier.max(1.0).powi(exponent)).min(self.max_ms as f64);
        Duration::from_millis(millis as u64)
    }
}

/// What a source of kind `site` needs to know to be crawled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SiteSettings {
    /// Where the crawl begins.
    pub start: Vec<PageUrl>,
    /// Hosts beyond those of the start URLs.
    pub hosts: Vec<String>,
    /// Only URLs that begin with one of these; all where empty.
    pub include: Vec<String>,
    /// No URLs that begin with one of these.
    pub exclude: Vec<String>,
    /// Links from a start URL that are followed at most.
    pub max_depth: u32,
    /// Items of one crawl at most.
    pub max_pages: u64,
    /// Bytes of one body at most, after decompression.
    pub max_body_bytes: u64,
    /// Requests to one host at a time.
    pub concurrency_per_host: u32,
    /// Between the starts of two requests to one host; a longer `Crawl-delay` wins.
    pub delay_ms: u64,
    /// From the request to the last byte.
    pub request_timeout_ms: u64,
    /// Private, loopback, link-local and similar addresses are refused unless this is set.
    pub allow_private_addresses: bool,
    /// `host:port:address` as curl's `--resolve`: where a host is found, for testing.
    pub resolve: Vec<String>,
    /// Whether robots.txt is obeyed (RFC 9309).
    pub obey_robots: bool,
    /// Whether sitemaps are read.
    pub sitemaps: bool,
    /// Items of one URL path with different queries at most: the trap of endless queries.
    pub max_queries_per_path: u32,
}

impl Default for SiteSettings {
    fn default() -> Self {
        Self {
            start: Vec::new(),
            hosts: Vec::new(),
            include: Vec::new(),
            exclude: Vec::new(),
            max_depth: 50,
            max_pages: 1_000_000,
            max_body_bytes: 32 << 20,
            concurrency_per_host: 4,
            delay_ms: 100,
            request_timeout_ms: 30_000,
            allow_private_addresses: false,
            resolve: Vec::new(),
            obey_robots: true,
            sitemaps: true,
            max_queries_per_path: 1_000,
        }
    }
}

/// Where content comes from: a site, or a bucket whose objects are treated as the pages of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Datasource ID of the seed.
    pub id: SourceId,
    /// Datasource Name of the seed.
    pub name: String,
    /// Compare-and-swap token.
    #[serde(default)]
    pub revision: Revision,
    /// Grows with every change of the settings: the Datasource Configuration ID of the seed.
    pub configuration: u64,
    /// How it is crawled. Of a bucket: its one start URL is the base, below which the objects have their URLs, and the
    /// settings that are about hosts, links, robots.txt and sitemaps have no meaning.
    pub site: SiteSettings,
    /// Of a bucket, such as `s3://bucket/prefix/`: everything below is in the source. None for a site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// When failed attempts are tried again.
    pub retry: RetryPolicy,
    /// How it can tell that an item is gone.
    pub deletion: DeletionCapability,
    /// Last Crawl Start Timestamp of the seed.
    pub last_crawl_start: Option<Timestamp>,
    /// The crawl that holds the source's lock.
    pub active_crawl: Option<CrawlId>,
    /// Grows with every crawl that takes the lock; fences the writes of an older one.
    pub lock_epoch: u64,
    /// When it was added.
    pub created_at: Timestamp,
}

/// The states of a crawl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrawlStatus {
    /// Asked for.
    Pending,
    /// Start URLs and sitemaps are being read.
    Enumerating,
    /// Items are being processed (and, on sites, found).
    Processing,
    /// Every item is terminal; what was applied is on its way to the log.
    Draining,
    /// Orphans are being looked for.
    Orphans,
    /// Over, and complete.
    Completed,
    /// Over: it could not go on.
    Failed,
    /// Over: somebody stopped it.
    Cancelled,
    /// Over but for a decision that a person must take.
    Blocked,
}

impl CrawlStatus {
    /// Whether nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Blocked
        )
    }
}

/// What a crawl has done so far, or did: equal to a recount of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CrawlTotals {
    /// Items that it saw.
    pub seen: u64,
    /// Of these, never seen before.
    pub new: u64,
    /// Applied with new content, and not new.
    pub changed: u64,
    /// Found equal.
    pub unchanged: u64,
    /// Waiting for a retry.
    pub failed: u64,
    /// Left to a person.
    pub escalated: u64,
    /// Gone.
    pub deleted: u64,
    /// Due or in flight.
    pub open: u64,
}

/// One pass over a source: the seed's history record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crawl {
    /// Crawl ID of the seed; carries source and start.
    pub id: CrawlId,
    /// Compare-and-swap token.
    #[serde(default)]
    pub revision: Revision,
    /// Crawl Status of the seed.
    pub status: CrawlStatus,
    /// Crawl Start Timestamp of the seed.
    pub started_at: Timestamp,
    /// Crawl End Timestamp of the seed.
    pub ended_at: Option<Timestamp>,
    /// Which version of the source's configuration it uses.
    pub configuration: u64,
    /// Of the source's lock.
    pub epoch: u64,
    /// Microservice ID of the seed: who runs it.
    pub service: String,
    /// Total Items Crawled of the seed, in parts.
    pub totals: CrawlTotals,
    /// Bytes of bodies as they came over the network.
    pub fetched_bytes: u64,
    /// Requests that were answered.
    pub fetches: u64,
    /// Milliseconds spent on them in sum; with `fetches` the Average Item Processing Time of the seed.
    pub processing_ms: u64,
    /// Why it failed or is blocked.
    pub reason: Option<String>,
}

/// How many items of a crawl there are by state, and how many of them are new.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Per state: all, and those first seen by this crawl.
    pub by_state: std::collections::BTreeMap<ItemState, (u64, u64)>,
}

impl Counts {
    /// The same as the figures of a crawl.
    pub fn totals(&self) -> CrawlTotals {
        let of = |state| self.by_state.get(&state).copied().unwrap_or_default();
        let (success, new_success) = of(ItemState::Success);
        CrawlTotals {
            seen: self.by_state.values().map(|(all, _)| all).sum(),
            new: self.by_state.values().map(|(_, new)| new).sum(),
            changed: success - new_success,
            unchanged: of(ItemState::Unchanged).0,
            failed: of(ItemState::Failure).0,
            escalated: of(ItemState::Escalated).0,
            deleted: of(ItemState::Deleted).0,
            open: of(ItemState::Pending).0 + of(ItemState::InFlight).0,
        }
    }
}
