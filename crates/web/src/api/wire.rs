//! What JSON looks like outside. Nothing here decides anything: records in, records out.

use crawldb::{
    Crawl, CrawlStatus, CrawlTotals, DeletionCapability, Disposition, Item, ItemErrorKind, ItemState,
    RetryPolicy, SiteSettings, Source,
};
use model::PageUrl;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::display::rfc3339;
use crate::problem::Problem;

/// A source: where content comes from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub(crate) struct SourceBody {
    /// Its name in addresses.
    #[schema(example = "example.gov")]
    id: String,
    /// What people call it.
    name: String,
    /// How it is crawled.
    site: SiteBody,
    retry: RetryBody,
    /// How it can tell that an item is gone.
    #[schema(value_type = String, example = "enumerate")]
    deletion: DeletionCapability,
    /// Grows with every change of the settings.
    configuration: u64,
    /// RFC 3339.
    last_crawl_start: Option<String>,
    /// The crawl that holds the source's lock.
    active_crawl: Option<String>,
    /// RFC 3339.
    created_at: String,
}

impl From<&Source> for SourceBody {
    fn from(source: &Source) -> Self {
        Self {
            id: source.id.to_string(),
            name: source.name.clone(),
            site: SiteBody::from(&source.site),
            retry: RetryBody::from(&source.retry),
            deletion: source.deletion,
            configuration: source.configuration,
            last_crawl_start: source.last_crawl_start.map(rfc3339),
            active_crawl: source.active_crawl.as_ref().map(ToString::to_string),
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
    /// What people call it; the id where it is missing.
    pub(crate) name: Option<String>,
    /// How it is crawled; `start` is needed.
    pub(crate) site: SiteBody,
    #[serde(default)]
    pub(crate) retry: RetryBody,
}

/// How a site is crawled.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Site)]
pub(crate) struct SiteBody {
    /// Where the crawl begins.
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

/// When a failed attempt is tried again: `min(max, initial * multiplier^(n-1))`, with jitter.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Retry)]
pub(crate) struct RetryBody {
    /// Attempts after the first.
    max_retries: u32,
    /// Before the first retry.
    initial_ms: u64,
    /// The longest wait.
    max_ms: u64,
    /// What each wait grows by.
    multiplier: f64,
}

impl Default for RetryBody {
    fn default() -> Self {
        Self::from(&RetryPolicy::default())
    }
}

impl From<&RetryPolicy> for RetryBody {
    fn from(policy: &RetryPolicy) -> Self {
        let RetryPolicy {
            max_retries,
            initial_ms,
            max_ms,
            multiplier,
        } = *policy;
        Self {
            max_retries,
            initial_ms,
            max_ms,
            multiplier,
        }
    }
}

impl From<RetryBody> for RetryPolicy {
    fn from(body: RetryBody) -> Self {
        let RetryBody {
            max_retries,
            initial_ms,
            max_ms,
            multiplier,
        } = body;
        Self {
            max_retries,
            initial_ms,
            max_ms,
            multiplier,
        }
    }
}

/// How many items a crawl saw, and what became of them.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = CrawlTotals)]
pub(crate) struct TotalsBody {
    seen: u64,
    /// Never seen before.
    new: u64,
    /// Applied with new content, and not new.
    changed: u64,
    unchanged: u64,
    /// Waiting for a retry.
    failed: u64,
    /// Left to a person.
    escalated: u64,
    /// Gone.
    deleted: u64,
    /// Due or in flight.
    open: u64,
}

impl From<CrawlTotals> for TotalsBody {
    fn from(totals: CrawlTotals) -> Self {
        let CrawlTotals {
            seen,
            new,
            changed,
            unchanged,
            failed,
            escalated,
            deleted,
            open,
        } = totals;
        Self {
            seen,
            new,
            changed,
            unchanged,
            failed,
            escalated,
            deleted,
            open,
        }
    }
}

/// One pass over a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Crawl)]
pub(crate) struct CrawlBody {
    #[schema(example = "example.gov@1700000000000")]
    id: String,
    source: String,
    #[schema(value_type = String, example = "processing")]
    status: CrawlStatus,
    /// RFC 3339.
    started_at: String,
    /// RFC 3339; missing while it runs.
    ended_at: Option<String>,
    /// The version of the source's settings that it uses.
    configuration: u64,
    /// Who runs it.
    service: String,
    totals: TotalsBody,
    /// Bytes of bodies as they came over the network.
    fetched_bytes: u64,
    /// Requests that were answered.
    fetches: u64,
    /// Mean time from a request to its applied item.
    mean_processing_ms: Option<u64>,
    /// Why it failed or is blocked.
    reason: Option<String>,
}

impl From<&Crawl> for CrawlBody {
    fn from(crawl: &Crawl) -> Self {
        Self {
            id: crawl.id.to_string(),
            source: crawl.id.source().to_string(),
            status: crawl.status,
            started_at: rfc3339(crawl.started_at),
            ended_at: crawl.ended_at.map(rfc3339),
            configuration: crawl.configuration,
            service: crawl.service.clone(),
            totals: crawl.totals.into(),
            fetched_bytes: crawl.fetched_bytes,
            fetches: crawl.fetches,
            mean_processing_ms: crawl.processing_ms.checked_div(crawl.fetches),
            reason: crawl.reason.clone(),
        }
    }
}

/// One thing in a source, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
pub(crate) struct ItemBody {
    source: String,
    id: String,
    url: String,
    /// What it is grouped by inside the source: the host of web items.
    scope: String,
    #[schema(value_type = String, example = "success")]
    state: ItemState,
    /// Which write its content is from.
    version: u64,
    /// The crawl that last touched it.
    crawl: String,
    configuration: u64,
    /// RFC 3339.
    first_seen_at: String,
    /// The start of the newest crawl that saw it, RFC 3339.
    seen_crawl_at: String,
    /// When it was last applied or found unchanged, RFC 3339.
    last_updated: Option<String>,
    /// When it is due, RFC 3339; only while it waits.
    next_attempt_at: Option<String>,
    lease: Option<LeaseBody>,
    /// Failed attempts in this crawl.
    retry_count: u32,
    /// Failed attempts in a row, over crawls.
    consecutive_failures: u32,
    last_error: Option<ItemErrorBody>,
    /// SHA-256 of the bytes as last fetched.
    checksum: Option<String>,
    /// `indexed`, `alias`, `noindex`, `disallowed` or `unsupported`, once it was processed.
    disposition: Option<&'static str>,
    /// The item that it is an alias of, or the media type that is unsupported.
    disposition_of: Option<String>,
    /// Where the archive keeps its bytes.
    content: Option<String>,
    /// Where the archive keeps its text.
    extract: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
    /// The item whose content named this one first.
    parent: Option<String>,
    /// Links from a start URL.
    depth: u32,
    /// Items that redirect here or name this one as canonical.
    aliases: Vec<String>,
}

/// Who works on an item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lease)]
struct LeaseBody {
    owner: String,
    epoch: u64,
    /// RFC 3339.
    until: String,
}

/// The last thing that went wrong with an item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemError)]
struct ItemErrorBody {
    #[schema(value_type = String, example = "timeout")]
    kind: ItemErrorKind,
    message: String,
    /// RFC 3339.
    at: String,
}

impl From<&Item> for ItemBody {
    fn from(item: &Item) -> Self {
        let (disposition, disposition_of) = item.disposition.as_ref().map(disposition).unzip();
        Self {
            source: item.source.to_string(),
            id: item.id.to_string(),
            url: item.url.to_string(),
            scope: item.scope.clone(),
            state: item.state,
            version: item.version.as_u64(),
            crawl: item.crawl.to_string(),
            configuration: item.configuration,
            first_seen_at: rfc3339(item.first_seen_at),
            seen_crawl_at: rfc3339(item.seen_crawl_at),
            last_updated: item.last_updated.map(rfc3339),
            next_attempt_at: is_waiting(item.state).then(|| rfc3339(item.next_attempt_at)),
            lease: item.lease.as_ref().map(|lease| LeaseBody {
                owner: lease.owner.clone(),
                epoch: lease.epoch,
                until: rfc3339(lease.until),
            }),
            retry_count: item.retry_count,
            consecutive_failures: item.consecutive_failures,
            last_error: item.last_error.as_ref().map(|error| ItemErrorBody {
                kind: error.kind,
                message: error.message.clone(),
                at: rfc3339(error.at),
            }),
            checksum: item.checksum.map(|checksum| checksum.to_string()),
            disposition,
            disposition_of: disposition_of.flatten(),
            content: item.content.as_ref().map(ToString::to_string),
            extract: item.extract.as_ref().map(ToString::to_string),
            etag: item.etag.clone(),
            last_modified: item.last_modified.clone(),
            parent: item.parent.as_ref().map(ToString::to_string),
            depth: item.depth,
            aliases: item.aliases.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Whether `next_attempt_at` means anything.
pub(crate) fn is_waiting(state: ItemState) -> bool {
    matches!(state, ItemState::Pending | ItemState::Failure)
}

/// The word for a disposition, and what it is of.
pub(crate) fn disposition(disposition: &Disposition) -> (&'static str, Option<String>) {
    match disposition {
        Disposition::Indexed => ("indexed", None),
        Disposition::Alias(item) => ("alias", Some(item.to_string())),
        Disposition::Noindex => ("noindex", None),
        Disposition::Disallowed => ("disallowed", None),
        Disposition::Unsupported(media_type) => ("unsupported", Some(media_type.clone())),
    }
}

/// Every state with its name in JSON and addresses.
pub(crate) const STATES: [(ItemState, &str); 9] = [
    (ItemState::Success, "success"),
    (ItemState::Unchanged, "unchanged"),
    (ItemState::InFlight, "in_flight"),
    (ItemState::Pending, "pending"),
    (ItemState::Failure, "failure"),
    (ItemState::Escalated, "escalated"),
    (ItemState::OrphanCandidate, "orphan_candidate"),
    (ItemState::Deleting, "deleting"),
    (ItemState::Deleted, "deleted"),
];

/// The name of a state in JSON and addresses.
pub(crate) fn state_name(state: ItemState) -> &'static str {
    STATES
        .iter()
        .find(|(known, _)| *known == state)
        .map_or("pending", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_named_as_it_is_stored() {
        for (state, name) in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), name);
        }
    }
}
