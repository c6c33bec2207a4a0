//! The one way in which items change: the crawl database, its documents and the log, written in an order that every
//! crash survives.
//!
//! Whoever learns something of an item (a crawl, the source itself, a person, the end of a source) says so here. Each
//! change is written the same way ([`Ledger`]):
//!
//! 1. an [intent](crawldb::Intent) with the ids of the items, so that somebody will look at them if this process dies;
//! 2. the items, by compare-and-swap and version: what is stale stops here;
//! 3. the documents, which follow from the items;
//! 4. the log: `applied` for packers and replay, `escalated` for people, `receipts` for the crawler;
//! 5. the intent goes.
//!
//! Steps 3 and 4 say what the items' records say, so doing them again does no harm: [`Ledger::recover`] does that for
//! every intent that somebody left.
//!
//! # The parts
//!
//! * Crawls: [`sight`](Ledger::sight) and [`settle`](Ledger::settle). Sight what a page leads to before the page is
//!   settled: a crash in between must not leave a page that was read and whose links nobody knows.
//! * The source itself: [`submit`](Ledger::submit), [`LiveClock`], [`apply_live`](Ledger::apply_live).
//! * People: [`rule`](Ledger::rule) and [`approve`](Ledger::approve).
//! * What a crawl missed: [`sweep`](Ledger::sweep). The end of a source: [`remove_source`](Ledger::remove_source).
//! * What runs now and then: [`recover`](Ledger::recover), [`expire_leases`](Ledger::expire_leases),
//!   [`stranded`](Ledger::stranded), [`purge_items`](Ledger::purge_items), [`purge_documents`](Ledger::purge_documents).
//! * The index made again: [`replay`](Ledger::replay), [`rebuild`](Ledger::rebuild).
//! * What the stores hold, for those who watch over them: [`surveyor`](Ledger::surveyor).
//!
//! # What holds
//!
//! * *Documents and the newest record of every item say what the items' records say*, once no intent is left. Whoever
//!   tells of an item looks at it again afterwards, so a slow writer does not have the last word.
//! * *What is unchanged tells nobody*: no document is written, no record appended.
//! * *A source that is being deleted is written by its removal alone.* Everybody else puts his intent first and asks
//!   then; the removal forbids first and waits for intents then.
//! * *Everything may be called again*, with the same arguments, by another process, after any crash.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use crawldb::testkit::{sample_settings, sample_sighting};
//! use crawldb::{Attempt, CrawlKind, Crawldb, Finished, Outcome, RetryPolicy};
//! use ledger::Ledger;
//! use model::{SourceId, Timestamp};
//! use updates::{UpdateLog, topics};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let now = Timestamp::from_millis(1_000);
//! let docs = SourceId::new("docs")?;
//! let ledger = Ledger::new(Crawldb::memory(), UpdateLog::memory(), "process 1");
//! ledger.crawldb().add_source(docs.clone(), sample_settings("Docs"), now).await?;
//! topics::ensure_source(ledger.log(), &docs, topics::DEFAULT_PARTITIONS).await?;
//! let started = ledger.crawldb().start_crawl(&docs, CrawlKind::Full, "process 1", now).await?;
//! let crawl = started.crawl().ok_or("another crawl runs")?;
//!
//! ledger.sight(&crawl, &[sample_sighting("example.gov", 1)], now).await?;
//! let lease = Duration::from_secs(60);
//! let claimed = ledger.crawldb().claim(&crawl, None, "listener 1", lease, 10, now).await?;
//! let gone = |item| Attempt { item, outcome: Outcome::Gone { reason: "404".into() } };
//! let attempts = claimed.into_iter().map(gone).collect();
//! let finished = ledger.settle(&crawl, attempts, &RetryPolicy::default(), now, &mut || 0.5).await?;
//! assert!(matches!(finished[..], [Finished::Deleted { was_indexed: false, .. }]));
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod announce;
mod error;
mod live;
mod metrics;
mod orphans;
mod purge;
mod recovery;
mod removal;
mod replay;
mod rulings;
mod settle;
mod survey;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crawldb::Crawldb;
use prometheus_client::registry::Registry;
use updates::UpdateLog;

pub use crate::error::LedgerError;
pub use crate::live::{LiveClock, LiveRead, MAX_AHEAD, MAX_UPDATES};
pub use crate::metrics::Metrics;
pub use crate::orphans::{LIVE_GROUP, Presence, RETRY_DEFERRED, Sweep, Verify};
pub use crate::purge::Purged;
pub use crate::recovery::{INTENT_AGE, RETRY_STRANDED, Recovered};
pub use crate::removal::Removed;
pub use crate::replay::{Progress, Replay, ReplayFrom, Replayed};
pub use crate::survey::{
    CRAWL_GROUP, MAX_NAMED_SOURCES, OTHER_SOURCES, SourceSurvey, Survey, Surveyor, Tally,
};

/// Writes what becomes of items. Cheap to clone; all clones are the same ledger.
#[derive(Clone)]
pub struct Ledger {
    crawldb: Crawldb,
    log: UpdateLog,
    /// Who writes: part of the ids of intents, so it must differ between processes, and between two lives of one.
    owner: Arc<str>,
    intents: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl Ledger {
    /// A ledger on these stores. `owner`, at most 150 bytes, must not be used by another process, nor by an earlier life
    /// of this one.
    pub fn new(crawldb: Crawldb, log: UpdateLog, owner: &str) -> Self {
        Self {
            crawldb,
            log,
            owner: owner.into(),
            intents: Arc::default(),
            metrics: Arc::default(),
        }
    }

    /// What is known.
    pub fn crawldb(&self) -> &Crawldb {
        &self.crawldb
    }

    /// What moves.
    pub fn log(&self) -> &UpdateLog {
        &self.log
    }

    /// Registers the figures of this ledger and its clones under `haul_ledger`. Once per registry.
    pub fn register(&self, registry: &mut Registry) {
        self.metrics.register(registry, &self.crawldb);
    }

    /// Its figures.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}
