use std::path::PathBuf;

use crawldb::{
    ConcurrencyMode, Configuration, CrawlKind, DeletionCapability, LiveSettings, OrphanPolicy, RetryPolicy,
    Settings, SiteSettings, Source, SourceKind,
};
use model::PageUrl;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::mirrored;
use crate::display::rfc3339;
use crate::problem::Problem;

/// A source: where content comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub(crate) struct SourceBody {
    /// Its name in addresses.
    #[schema(example = "example.gov")]
    id: String,
    /// `idle`, `crawling` or `deleting`.
    state: &'static str,
    settings: SettingsBody,
    /// Grows with every change of the settings.
    configuration: u64,
    /// RFC 3339.
    last_crawl_start: Option<String>,
    /// The crawls that hold the source's lock.
    active_crawls: Vec<String>,
    /// Crawls that wait for them, in their order.
    queued: Vec<QueuedBody>,
    /// The process of its own that looks after it, where one said so.
    service: Option<String>,
    /// Since when it is being deleted, RFC 3339.
    deleting_since: Option<String>,
    /// RFC 3339.
    created_at: String,
}

/// A crawl that waits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueuedCrawl)]
struct QueuedBody {
    #[schema(value_type = String, example = "full")]
    kind: CrawlKind,
    /// RFC 3339.
    asked_at: String,
}

impl From<&Source> for SourceBody {
    fn from(source: &Source) -> Self {
        let state = match source.deleting_since {
            Some(_) => "deleting",
            None if source.active_crawls.is_empty() => "idle",
            None => "crawling",
        };
        let queued = source.queued.iter().map(|queued| QueuedBody {
            kind: queued.kind,
            asked_at: rfc3339(queued.asked_at),
        });
        Self {
            id: source.id.to_string(),
            state,
            settings: SettingsBody::from(&source.settings),
            configuration: source.configuration,
            last_crawl_start: source.last_crawl_start.map(rfc3339),
            active_crawls: source.active_crawls.iter().map(ToString::to_string).collect(),
            queued: queued.collect(),
            service: source.service.clone(),
            deleting_since: source.deleting_since.map(rfc3339),
            created_at: rfc3339(source.created_at),
        }
    }
}

/// A source to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSource {
    /// 1 to 64 of a-z, 0-9, '-' and '.'; the host of the first start URL where it is missing.
    pub(crate) id: Option<String>,
    /// What is left out has its default.
    pub(crate) settings: SettingsBody,
}

/// New settings for a source.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedSource {
    /// The number of the settings that were read and changed.
    pub(crate) configuration: u64,
    /// All of them: what is left out has its default again.
    pub(crate) settings: SettingsBody,
}

/// One version of the settings of a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Configuration)]
pub(crate) struct ConfigurationBody {
    /// From 1.
    number: u64,
    /// Since when they are in force, RFC 3339.
    at: String,
    settings: SettingsBody,
}

impl From<&Configuration> for ConfigurationBody {
    fn from(configuration: &Configuration) -> Self {
        Self {
            number: configuration.number,
            at: rfc3339(configuration.at),
            settings: SettingsBody::from(&configuration.settings),
        }
    }
}

/// What the owner of a source says about it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Settings)]
pub(crate) struct SettingsBody {
    /// What people call it; the id where it is empty.
    name: String,
    place: PlaceBody,
    site: SiteBody,
    retry: RetryBody,
    /// How it can tell that an item is gone: `explicit`, `enumerate`, `fetch_only` or `none`.
    #[schema(value_type = String, example = "enumerate")]
    deletion: DeletionCapability,
    orphans: OrphansBody,
    /// What becomes of a crawl while another one runs: `exclusive`, `queue` or `concurrent`.
    #[schema(value_type = String, example = "exclusive")]
    concurrency: ConcurrencyMode,
    /// When it is crawled by itself, such as `every 6h`, `daily` or `cron 0 3 * * * Europe/Oslo`.
    schedule: Option<String>,
    live: LiveBody,
}

impl From<&Settings> for SettingsBody {
    fn from(settings: &Settings) -> Self {
        Self {
            name: settings.name.clone(),
            place: PlaceBody::from(&settings.kind),
            site: SiteBody::from(&settings.site),
            retry: RetryBody::from(&settings.retry),
            deletion: settings.deletion,
            orphans: OrphansBody::from(&settings.orphans),
            concurrency: settings.concurrency,
            schedule: settings.schedule.clone(),
            live: LiveBody::from(&settings.live),
        }
    }
}

impl TryFrom<SettingsBody> for Settings {
    type Error = Problem;

    fn try_from(body: SettingsBody) -> Result<Self, Problem> {
        Ok(Self {
            name: body.name,
            kind: body.place.into(),
            site: body.site.try_into()?,
            retry: body.retry.into(),
            deletion: body.deletion,
            orphans: body.orphans.into(),
            concurrency: body.concurrency,
            schedule: body.schedule,
            live: body.live.into(),
        })
    }
}

/// What kind of place content comes from.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Place)]
pub(crate) enum PlaceBody {
    /// Pages that lead to each other.
    Site {},
    /// The objects below an address such as `s3://bucket/prefix/`.
    Bucket {
        /// Everything below it is in the source.
        address: String,
    },
    /// The files below a folder of the server's machine.
    Folder {
        /// Absolute.
        #[schema(value_type = String)]
        path: PathBuf,
    },
    /// Whatever is sent as updates; there is nothing to crawl.
    Feed {},
}

impl Default for PlaceBody {
    fn default() -> Self {
        Self::Site {}
    }
}

impl From<&SourceKind> for PlaceBody {
    fn from(kind: &SourceKind) -> Self {
        match kind {
            SourceKind::Site => Self::Site {},
            SourceKind::Bucket { address } => Self::Bucket {
                address: address.clone(),
            },
            SourceKind::Folder { path } => Self::Folder { path: path.clone() },
            SourceKind::Feed => Self::Feed {},
        }
    }
}

impl From<PlaceBody> for SourceKind {
    fn from(body: PlaceBody) -> Self {
        match body {
            PlaceBody::Site {} => Self::Site,
            PlaceBody::Bucket { address } => Self::Bucket { address },
            PlaceBody::Folder { path } => Self::Folder { path },
            PlaceBody::Feed {} => Self::Feed,
        }
    }
}

/// What is fetched, and how.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Site)]
pub(crate) struct SiteBody {
    /// Where the crawl begins; of a bucket or folder, the one base of its URLs; of a feed, the bases of its URLs.
    #[schema(example = json!(["https://example.gov/"]))]
    start: Vec<String>,
    /// Hosts beyond those of the start URLs.
    hosts: Vec<String>,
    /// Only URLs that begin with one of these; all where empty.
    include: Vec<String>,
    /// No URLs that begin with one of these.
    exclude: Vec<String>,
    /// Links from a start URL that are followed at most.
    max_depth: u32,
    /// Items of one crawl at most.
    max_pages: u64,
    /// Bytes of one body at most, after decompression.
    max_body_bytes: u64,
    /// Requests to one host at a time.
    concurrency_per_host: u32,
    /// Between the starts of two requests to one host.
    delay_ms: u64,
    /// From the request to the last byte.
    request_timeout_ms: u64,
    /// Private, loopback, link-local and similar addresses are refused unless this is set.
    allow_private_addresses: bool,
    /// `host:port:address`: where a host is found, for testing.
    resolve: Vec<String>,
    /// Whether robots.txt is obeyed (RFC 9309).
    obey_robots: bool,
    /// Whether sitemaps are read.
    sitemaps: bool,
    /// Items of one URL path with different queries at most.
    max_queries_per_path: u32,
}

impl Default for SiteBody {
    fn default() -> Self {
        Self::from(&SiteSettings::default())
    }
}

impl From<&SiteSettings> for SiteBody {
    fn from(site: &SiteSettings) -> Self {
        Self {
            start: site.start.iter().map(ToString::to_string).collect(),
            hosts: site.hosts.clone(),
            include: site.include.clone(),
            exclude: site.exclude.clone(),
            max_depth: site.max_depth,
            max_pages: site.max_pages,
            max_body_bytes: site.max_body_bytes,
            concurrency_per_host: site.concurrency_per_host,
            delay_ms: site.delay_ms,
            request_timeout_ms: site.request_timeout_ms,
            allow_private_addresses: site.allow_private_addresses,
            resolve: site.resolve.clone(),
            obey_robots: site.obey_robots,
            sitemaps: site.sitemaps,
            max_queries_per_path: site.max_queries_per_path,
        }
    }
}

impl TryFrom<SiteBody> for SiteSettings {
    type Error = Problem;

    fn try_from(body: SiteBody) -> Result<Self, Problem> {
        let start: Vec<PageUrl> = body
            .start
            .iter()
            .map(|url| PageUrl::parse(url))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            start,
            hosts: body.hosts,
            include: body.include,
            exclude: body.exclude,
            max_depth: body.max_depth,
            max_pages: body.max_pages,
            max_body_bytes: body.max_body_bytes,
            concurrency_per_host: body.concurrency_per_host,
            delay_ms: body.delay_ms,
            request_timeout_ms: body.request_timeout_ms,
            allow_private_addresses: body.allow_private_addresses,
            resolve: body.resolve,
            obey_robots: body.obey_robots,
            sitemaps: body.sitemaps,
            max_queries_per_path: body.max_queries_per_path,
        })
    }
}

mirrored! {
    /// When a failed attempt is tried again: `min(max, initial * multiplier^(n-1))`, with jitter.
    #[schema(as = RetryPolicy)]
    RetryBody of RetryPolicy {
        /// Attempts after the first.
        max_retries: u32,
        /// Before the first retry.
        initial_ms: u64,
        /// The longest wait.
        max_ms: u64,
        /// What each wait grows by.
        multiplier: f64,
    }
}

mirrored! {
    /// When an item that a complete crawl missed is deleted.
    #[schema(as = OrphanPolicy)]
    OrphansBody of OrphanPolicy {
        /// Complete crawls that must have missed it, the newest included.
        grace_crawls: u32,
        /// How long ago the first of them must have started.
        grace_ms: u64,
        /// Whether the source is asked for the item once more, where it can be.
        verify: bool,
        /// More candidates than this part of the live items block the deletion, unless they are few.
        guard_percent: f64,
        /// Few: this many candidates never block it.
        guard_items: u64,
        /// A crawl that saw a smaller part of what the last complete one saw blocks it.
        min_seen_percent: f64,
        /// Items that one crawl verifies at most where only fetching tells that an item is gone.
        verify_budget: u64,
    }
}

mirrored! {
    /// How updates that the source itself tells of are taken.
    #[schema(as = LiveSettings)]
    LiveBody of LiveSettings {
        /// Whether they are taken at all.
        enabled: bool,
        /// Whether the time that an update carries is its version; else it is the time at which the log took it.
        trust_clock: bool,
    }
}
