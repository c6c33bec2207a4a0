use std::path::PathBuf;
use std::time::Duration;

use model::{CrawlId, PageUrl, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Revision;

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

/// What kind of place content comes from.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceKind {
    /// Pages that lead to each other.
    #[default]
    Site,
    /// The objects below an address such as `s3://bucket/prefix/`.
    Bucket {
        /// Everything below it is in the source.
        address: String,
    },
    /// The files below a folder of this machine.
    Folder {
        /// Absolute.
        path: PathBuf,
    },
    /// Whatever is told through the API and the live topic; there is nothing to crawl.
    Feed,
}

/// What becomes of a crawl that is asked for while another one of the source runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConcurrencyMode {
    /// It is refused, with the id of the one that runs.
    #[default]
    Exclusive,
    /// It waits, and starts when the other one is over.
    Queue,
    /// It runs beside it; versions decide who wins.
    Concurrent,
}

/// When an item that a complete crawl missed is deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrphanPolicy {
    /// Complete crawls that must have missed it, this one included.
    pub grace_crawls: u32,
    /// How long ago the first of them must have started.
    pub grace_ms: u64,
    /// Whether the source is asked for the item once more, where it can be asked for one.
    pub verify: bool,
    /// More candidates than this part of the live items block the deletion, unless they are few.
    pub guard_percent: f64,
    /// Few: this many candidates never block it.
    pub guard_items: u64,
    /// A crawl that saw a smaller part of what the last complete one saw blocks it.
    pub min_seen_percent: f64,
    /// Items that one crawl verifies at most where only fetching tells that an item is gone.
    pub verify_budget: u64,
}

impl Default for OrphanPolicy {
    fn default() -> Self {
        Self {
            grace_crawls: 1,
            grace_ms: 0,
            verify: true,
            guard_percent: 10.0,
            guard_items: 20,
            min_seen_percent: 50.0,
            verify_budget: 1_000,
        }
    }
}

/// How updates that the source itself tells of are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveSettings {
    /// Whether they are taken at all.
    pub enabled: bool,
    /// Whether the time that an update carries is its version; else it is the time at which the log took it.
    pub trust_clock: bool,
}

impl Default for LiveSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            trust_clock: false,
        }
    }
}

/// What the owner of a source says about it. Every change makes a new [`Configuration`].
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Datasource Name of the seed.
    pub name: String,
    /// What kind of place it is.
    #[serde(rename = "place")]
    pub kind: SourceKind,
    /// What is fetched and how. Of a bucket or folder: its one start URL is the base, below which the objects have their
    /// URLs. Of a feed: its start URLs are the bases below which its items lie.
    pub site: SiteSettings,
    /// When failed attempts are tried again.
    pub retry: RetryPolicy,
    /// Deletion Capability of the seed: how it can tell that an item is gone.
    pub deletion: DeletionCapability,
    /// When what it no longer shows is deleted.
    pub orphans: OrphanPolicy,
    /// What becomes of a crawl while another one runs.
    pub concurrency: ConcurrencyMode,
    /// When it is crawled by itself, such as `every 6h` or `cron 0 3 * * * Europe/Oslo`; never where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// How its live updates are taken: Live Update Tracking of the seed, with the marks of the log.
    pub live: LiveSettings,
}

/// One version of the settings of a source: what a Datasource Configuration ID of the seed names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Configuration {
    /// The source.
    pub source: SourceId,
    /// From 1; the id.
    pub number: u64,
    /// What was in force.
    pub settings: Settings,
    /// Since when.
    pub at: Timestamp,
}

/// A crawl that waits for the one that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// What it passes over.
    pub kind: super::CrawlKind,
    /// When it was asked for.
    pub asked_at: Timestamp,
}

/// Where content comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Datasource ID of the seed.
    pub id: SourceId,
    /// Compare-and-swap token.
    #[serde(default)]
    pub revision: Revision,
    /// Grows with every change of the settings: the Datasource Configuration ID of the seed.
    pub configuration: u64,
    /// What its owner says about it.
    pub settings: Settings,
    /// Last Crawl Start Timestamp of the seed.
    pub last_crawl_start: Option<Timestamp>,
    /// The crawls that hold the source's lock: one at most, unless they may run beside each other.
    #[serde(default)]
    pub active_crawls: Vec<CrawlId>,
    /// Crawls that wait for it, in the order in which they were asked for; at most [`MAX_QUEUED`](crate::MAX_QUEUED).
    #[serde(default)]
    pub queued: Vec<Queued>,
    /// Grows with every crawl that takes the lock; fences the writes of an older one.
    pub lock_epoch: u64,
    /// Microservice Configuration of the seed: the process of its own that looks after it, where one said so last.
    #[serde(default)]
    pub service: Option<String>,
    /// Since when it is being deleted: it is not crawled any more, and its references go.
    #[serde(default)]
    pub deleting_since: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

impl Source {
    /// A source that was never crawled.
    pub fn new(id: SourceId, settings: Settings, now: Timestamp) -> Self {
        Self {
            id,
            revision: Revision::NEW,
            configuration: 1,
            settings,
            last_crawl_start: None,
            active_crawls: Vec::new(),
            queued: Vec::new(),
            lock_epoch: 0,
            service: None,
            deleting_since: None,
            created_at: now,
        }
    }
}
