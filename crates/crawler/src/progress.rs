use crawldb::{Crawl, CrawlStatus, CrawlTotals};
use model::{CrawlId, Timestamp};

/// How far a crawl is; published at most four times a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// The crawl.
    pub crawl: CrawlId,
    /// Its status.
    pub status: CrawlStatus,
    /// Why it failed or is blocked, where it is.
    pub reason: Option<String>,
    /// Its items, counted in the crawl database.
    pub totals: CrawlTotals,
    /// When it started.
    pub started_at: Timestamp,
    /// Bytes of bodies as they came, in this life of the process.
    pub fetched_bytes: u64,
    /// Requests that were answered, in this life of the process.
    pub fetches: u64,
    /// Requests that were answered per second, lately.
    pub pages_per_second: f64,
    /// A host that is worked on.
    pub current_host: Option<String>,
    /// Whether nothing more will come: the crawl is over, or the crawler stopped and the crawl can be resumed.
    pub is_final: bool,
}

impl Progress {
    pub(crate) fn of(crawl: &Crawl) -> Self {
        Self {
            crawl: crawl.id.clone(),
            status: crawl.status,
            reason: None,
            totals: crawl.totals,
            started_at: crawl.started_at,
            fetched_bytes: 0,
            fetches: 0,
            pages_per_second: 0.0,
            current_host: None,
            is_final: false,
        }
    }
}
