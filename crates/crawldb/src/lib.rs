//! The crawl database: what is known of every item of every source, and what happens next.
//!
//! It is the truth that everything else follows from: which items exist, which are due, who works on them, what became
//! of them, and whether a crawl is complete. Records on the update log may be late, doubled or lost; item records not.
//!
//! # The parts
//!
//! * [`Crawldb`], the handle that everybody calls. It knows the states of items and the lock of a source.
//! * [`transition`], every arrow between the states as a plain function from what is stored to what to store.
//! * [`Store`], the port that an engine implements: compare-and-swap on records, a few queries. Here are two engines:
//!   in memory, and one SQLite file that answers the queries of a running crawl from its indexes.
//! * [`testkit`], what every engine must pass, and a store that fails when told to.
//!
//! # What holds
//!
//! * *Every write is a compare-and-swap.* Who finds that another writer was faster reads again and decides anew, a
//!   bounded number of times. [`Crawldb::races`] counts it.
//! * *The greater [version](model::Version) wins.* A crawl stamps what it writes with its start. An attempt whose lease
//!   was lost, or whose item has a newer version, is [`Finished::Stale`]: counted, reported, never applied.
//! * *One live lease per item and epoch.* [`Crawldb::claim`] raises the item's epoch; only its holder may finish it.
//! * *Crawls hold their source's lock.* [`Crawldb::start_crawl`] takes it: one crawl at a time, or, where the source's
//!   settings say so, others wait or run beside it. When the process that runs a crawl gives no sign of life,
//!   [`Crawldb::take_over`] raises the crawl's epoch, and the calls of the process before answer
//!   [`CrawldbError::Fenced`]. (The check comes before the write; what slips through meets the compare-and-swap.)
//! * *Documents follow items.* A document's references are merged by version, in whatever order they come.
//! * *Figures equal a recount.* Counters move in the transaction that moves the items.
//! * *What a call wrote survives the death of the process.* After a power cut the last moments may be missing from the
//!   SQLite file, but never half there.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use crawldb::testkit::{sample_settings, sample_sighting};
//! use crawldb::{Attempt, CrawlKind, Crawldb, Finished, Outcome, RetryPolicy, Seen};
//! use model::{SourceId, Timestamp};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let now = Timestamp::from_millis(1_000);
//! let crawldb = Crawldb::memory();
//! let source = crawldb.add_source(SourceId::new("docs")?, sample_settings("Our documents"), now).await?;
//! let started = crawldb.start_crawl(&source.id, CrawlKind::Full, "this service", now).await?;
//! let crawl = started.crawl().ok_or("another crawl runs")?;
//!
//! let seen = crawldb.seen(&crawl, &[sample_sighting("example.gov", 1)], now).await?;
//! assert_eq!(seen, [Seen::New]);
//!
//! let claimed = crawldb.claim(&crawl, None, "listener 1", Duration::from_secs(60), 10, now).await?;
//! let attempts = claimed.into_iter().map(|item| Attempt { item, outcome: Outcome::Gone { reason: "404".into() } });
//! let finished = crawldb.finish(&crawl, attempts.collect(), now, &RetryPolicy::default(), &mut || 0.5).await?;
//! assert!(matches!(finished[..], [Finished::Deleted { was_indexed: false, .. }]));
//! assert_eq!(crawldb.totals(&crawl.id).await?.deleted, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod crawls;
mod documents;
mod error;
mod handle;
mod items;
mod memory;
mod port;
mod records;
mod sqlite;
mod start;
pub mod testkit;
pub mod transition;

pub use crate::crawls::{ScopeCount, Work};
pub use crate::documents::Referred;
pub use crate::error::{CrawldbError, StartError};
pub use crate::handle::{Crawldb, Races};
pub use crate::port::{DocumentStore, DueQuery, Scan, Store, StoreError, Written};
pub use crate::records::{
    Approval, Body, ConcurrencyMode, Configuration, Counts, Crawl, CrawlKind, CrawlStatus, CrawlTotals,
    Decision, DeletionCapability, Disposition, Document, Enumeration, IndexName, Intent, InvalidIndexName,
    Item, ItemError, ItemErrorKind, ItemState, Lease, LiveSettings, LogMarks, Orphan, OrphanPolicy,
    OrphanReport, Queued, Reference, RetryPolicy, Revision, Ruling, Scope, Settings, SiteSettings, Source,
    SourceKind,
};
pub use crate::start::{CRAWL_LEASE, Started};
pub use crate::transition::{Attempt, Finished, Outcome, Seen, Sighting};

/// Crawls of one source that wait at most.
pub const MAX_QUEUED: usize = 10;
/// Crawls of one source that run at a time at most, where they may.
pub const MAX_CONCURRENT: usize = 8;
/// Scopes of a crawl of which is kept why they are incomplete; with more of them, the crawl is cut.
pub const MAX_INCOMPLETE: usize = 1_000;
