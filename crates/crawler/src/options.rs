use std::sync::Arc;
use std::time::{Duration, SystemTime};

use archive::Archive;
use extract::PdfReader;
use ledger::Ledger;
use model::{SourceId, Timestamp};

use crate::bucket::BucketAccess;

/// What a crawler works with.
#[derive(Clone)]
pub struct CrawlerDeps {
    /// What is known of every item, and what others are told.
    pub ledger: Ledger,
    /// Where contents and extracts go.
    pub archive: Archive,
    /// Reads PDFs; without it they count as unsupported.
    pub pdf: Option<PdfReader>,
    /// Reaches buckets; without it only sites can be crawled.
    pub buckets: Option<BucketAccess>,
    /// The name of this process in leases and in the history of crawls. No other process may have it.
    pub service: String,
}

/// How a crawler behaves, whatever it crawls. What belongs to one source is in its settings.
#[derive(Clone)]
pub struct CrawlerOptions {
    /// The sources that this process looks after; all where none are named. It gets a share of their hosts, so it must be
    /// able to reach them.
    pub sources: Option<Vec<SourceId>>,
    /// Whether this process leads crawls to their end; else it only works along on those that others lead.
    pub conducts: bool,
    /// Whether it does by itself what has to be done now and then: schedules, waiting crawls, orphans, what others left
    /// (see [`Janitor`](crate::Janitor)).
    pub upkeep: bool,
    /// Whether it takes the live updates of its sources.
    pub listens: bool,
    /// The `User-Agent` header. Sites expect a name, a version and where to learn more.
    pub user_agent: String,
    /// What robots.txt files call this crawler.
    pub product: String,
    /// Requests at a time, over all hosts and crawls.
    pub max_connections: usize,
    /// For a connection, with its TLS handshake.
    pub connect_timeout: Duration,
    /// The longest `Crawl-delay` that is obeyed; a longer one counts as this one.
    pub max_crawl_delay: Duration,
    /// The longest `Retry-After` that is waited for; a longer one counts as this one.
    pub max_retry_after: Duration,
    /// How long a host whose robots.txt cannot be read is asked again, before its items fail.
    pub robots_patience: Duration,
    /// How long an item that was claimed may take, at least; raised to eight request timeouts of its source.
    pub lease: Duration,
    /// How long requests may go on when the crawler stops.
    pub stop_grace: Duration,
    /// How long results wait for company before they are written together.
    pub batch_linger: Duration,
    /// Results that are written together at most.
    pub batch_items: usize,
    /// Bytes of bodies that are written together at most (one body may exceed it).
    pub batch_bytes: usize,
    /// How long writing is tried again while the crawl database or the log fails; then the crawl stops.
    pub write_patience: Duration,
    /// How long the end of a crawl waits for writes that others have begun and for live updates that were told before;
    /// then it takes nothing for gone.
    pub drain_patience: Duration,
    /// Sitemap files of one crawl at most.
    pub max_sitemaps: usize,
    /// URLs of one crawl that are remembered in memory to be known again without a question; 17 bytes each.
    pub remembered_urls: usize,
    /// What pauses a host that keeps failing.
    pub breaker: BreakerOptions,
    /// Partitions of the topics of a new source.
    pub partitions: u32,
    /// Where the time comes from.
    pub clock: Clock,
}

/// When a host is left alone for a while, and when for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerOptions {
    /// Failures in a row that pause it.
    pub failures_in_a_row: u32,
    /// Failures in percent of the last 100 requests that pause it.
    pub failure_percent: u32,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause.
    pub max_pause: Duration,
    /// Pauses without one success between them, after which the rest of the host's items fails.
    pub max_pauses: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            failures_in_a_row: 10,
            failure_percent: 15,
            first_pause: Duration::from_secs(5),
            max_pause: Duration::from_secs(60),
            max_pauses: 4,
        }
    }
}

impl Default for CrawlerOptions {
    fn default() -> Self {
        Self {
            sources: None,
            conducts: true,
            upkeep: true,
            listens: true,
            user_agent: format!("Haul/{}", env!("CARGO_PKG_VERSION")),
            product: "Haul".to_owned(),
            max_connections: 128,
            connect_timeout: Duration::from_secs(10),
            max_crawl_delay: Duration::from_secs(30),
            max_retry_after: Duration::from_secs(600),
            robots_patience: Duration::from_secs(60),
            lease: Duration::from_secs(300),
            stop_grace: Duration::from_secs(10),
            batch_linger: Duration::from_millis(50),
            batch_items: 256,
            batch_bytes: 16 << 20,
            write_patience: Duration::from_secs(60),
            drain_patience: Duration::from_secs(30),
            max_sitemaps: 1_000,
            remembered_urls: 4_000_000,
            breaker: BreakerOptions::default(),
            partitions: updates::topics::DEFAULT_PARTITIONS,
            clock: Clock::system(),
        }
    }
}

/// Tells the time. Everything else in this crate that needs the date asks it; delays and timeouts are the runtime's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that calls `now`.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of the machine.
    pub fn system() -> Self {
        Self::new(|| SystemTime::now().into())
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
