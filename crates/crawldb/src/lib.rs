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
//! * *One crawl per source.* [`Crawldb::start_crawl`] takes the source's lock. After a restart,
//!   [`Crawldb::take_over`] raises the crawl's epoch, and the calls of the process before answer
//!   [`CrawldbError::Fenced`]. (The check comes before the write; what slips through meets the compare-and-swap.)
//! * *Figures equal a recount.* Counters move in the transaction that moves the items.
//! * *What a call wrote survives the death of the process.* After a power cut the last moments may be missing from the
//!   SQLite file, but never half there.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use crawldb::testkit::{sample_sighting, sample_source};
//! use crawldb::{Attempt, Crawldb, Finished, Outcome, RetryPolicy, Seen};
//! use model::Timestamp;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let now = Timestamp::from_millis(1_000);
//! let crawldb = Crawldb::memory();
//! let source = crawldb.add_source(sample_source("docs")).await?;
//! let crawl = crawldb.start_crawl(&source.id, "this service", now).await?;
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
mod error;
mod handle;
mod items;
mod memory;
mod port;
mod records;
mod sqlite;
pub mod testkit;
pub mod transition;

pub use crate::crawls::ScopeCount;
pub use crate::error::{CrawldbError, StartError};
pub use crate::handle::{Crawldb, Races};
pub use crate::port::{DueQuery, Scan, Store, StoreError, Written};
pub use crate::records::{
    Counts, Crawl, CrawlStatus, CrawlTotals, DeletionCapability, Disposition, Item, ItemError, ItemErrorKind,
    ItemState, Lease, Orphan, RetryPolicy, Revision, Scope, SiteSettings, Source,
};
pub use crate::transition::{Attempt, Finished, Outcome, Seen, Sighting};
