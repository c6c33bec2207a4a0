//! The update log: how updates move from the stage that made them to the stages that want them.
//!
//! A *topic* has *partitions*; a *record* has a key (what it is about), a scope (which decides the partition) and a
//! value, or none, which makes it a tombstone. Records of one partition keep their order for ever. A *group* of readers
//! shares the partitions of what it subscribes to; each *member* polls, does the work, and commits how far it came.
//!
//! # The parts
//!
//! * [`UpdateLog`], the handle that everybody calls, and [`Group`], a member of a group.
//! * [`LogStore`] and [`Consumer`], the port. The embedded log here keeps records in memory or in one SQLite file that
//!   many processes may share; the semantics are those of Kafka, down to the partition of a scope ([`partition_of`]).
//! * [`topics`], the topics of Haul; [`Applied`], [`Control`] and the others, what the records say.
//! * [`testkit`], what every engine must pass.
//!
//! # What holds
//!
//! * *At least once.* A member that dies, or loses a partition in a rebalance, leaves work that another member does
//!   again, so whoever reads must be able to do anything twice. A commit for a partition that went to another member is
//!   refused ([`LogError::NotAssigned`]).
//! * *An append is all or nothing and survives the death of the process.* The SQLite file is in WAL mode and not synced
//!   at every commit: after a power cut the last moments may be missing, but never half there.
//! * *A member that does not poll for [`LogOptions::session`] is dead*, and its partitions go to the others at their
//!   next sign of life.
//! * *Compaction keeps the newest record of each key*, and a tombstone until it is old enough that slow readers met it.
//!   A reader may still meet older records of a key; [`Group::poll`] leaves out those that it can see are superseded.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//!
//! use model::SourceId;
//! use updates::{Entry, Subscription, UpdateLog, topics};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let log = UpdateLog::memory();
//! let source = SourceId::new("docs")?;
//! topics::ensure_source(&log, &source, topics::DEFAULT_PARTITIONS).await?;
//!
//! let entry = |value: &str| Entry { key: "page".into(), scope: "example.gov".into(), value: Some(value.to_owned()) };
//! log.append(&topics::applied(&source), &[entry("old"), entry("new")]).await?;
//!
//! let mut packers = log.group("packers", Subscription::Suffixes(vec![".applied".into()])).await?;
//! let batch = packers.poll(100, Duration::ZERO).await?;
//! assert_eq!(batch.superseded, 1);
//! assert_eq!(batch.records[0].decode::<String>()?.as_deref(), Some("new"));
//! packers.commit_batch(&batch).await?;
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod embedded;
mod engine;
mod groups;
mod handle;
mod limits;
mod memory;
mod place;
mod port;
mod records;
mod sqlite;
pub mod testkit;
pub mod topics;

pub use crate::engine::{Clock, LogOptions};
pub use crate::handle::{Batch, Entry, Group, UpdateLog};
pub use crate::limits::{MAX_BATCH, MAX_KEY_BYTES, MAX_PARTITIONS, MAX_VALUE_BYTES};
pub use crate::place::partition_of;
pub use crate::port::{
    Assignment, Cleanup, Consumer, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription,
    Topic, Watermarks,
};
pub use crate::records::{
    Applied, Change, Control, CrawlRequest, Ended, Escalated, LiveChange, LiveUpdate, Receipt, ReceiptOutcome,
};
