//! An index of packages and what they depend on, durable, linearizable and fast; with a TCP server for three commands, questions over
//! HTTP, and exchangeable stores.
//!
//! A client sends lines, `INDEX|package|dependencies`, `REMOVE|package|` or `QUERY|package|`, and gets `OK`, `FAIL` or `ERROR` for each: a
//! package can be indexed when its dependencies are, and removed when nothing depends on it. It is the protocol of a well-known
//! programming challenge; what is hard about it is that a command looks at several names at once, and that an answer is a promise.
//!
//! ```text
//!   Server: lines over TCP ----+                          +-- MemoryStore
//!                              +--> Index --- committer --+-- LogStore
//!   Http: JSON, batches, ------+      |        (rounds)   +-- SharedDiskStore
//!   questions, change feed            |                   +-- PostgresStore, RedisStore
//!                                  Snapshot               +-- ReplicaStore
//!                                     |
//!                                  Questions: why, install order, cycles, ...
//! ```
//!
//! - [`Index`] decides every command in memory, under one lock. What it decided is pending until a *round* of its committer has put it
//!   into the store; everybody whose answer rests on it waits for that round. So many writers share one `fsync`, and no answer shows a
//!   change that a crash can take back.
//! - A [`Store`](store::Store) keeps [`Change`]s and judges nothing. A commit is a compare-and-swap on the [`Revision`]: where several servers share
//!   a store, the slower one takes back what it had not committed, learns the other's changes and decides again.
//! - [`Server`] speaks the protocol; [`Http`] is the second port. Both are thin: they read lines and write answers.
//! - [`Snapshot`] is one revision, immutable, for [questions](query) that look at more than one package.
//!
//! One format is everywhere: the lines of the protocol, in logs, commits, tables, dumps and feeds.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use pkgindex::{Index, Options, store::MemoryStore};
//!
//! let index = Index::open(Box::new(MemoryStore::new()), Options::default())?;
//! let mut answers = Vec::new();
//! index.lines(b"INDEX|git|zlib\nINDEX|zlib|\nINDEX|git|zlib\nREMOVE|zlib|\n", &mut answers).await?;
//! assert_eq!(answers, b"FAIL\nOK\nOK\nFAIL\n");
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod change;
mod command;
mod counts;
pub mod formats;
mod graph;
mod http;
mod index;
mod latest;
mod name;
pub mod query;
mod server;
mod snapshot;
pub mod store;
pub mod testkit;

pub use change::{Change, Revision};
pub use command::{Answer, Command, Malformed, Verb, commands};
pub use counts::Counts;
pub use graph::{Cycles, Reason, Refusal};
pub use http::*;
pub use index::{Acknowledge, BatchError, FeedError, Index, Options, Reply, Sizes, Unavailable};
pub use latest::Latest;
pub use name::{MAX_NAME_BYTES, NameError, parse_name};
pub use server::*;
pub use snapshot::{PackageId, Snapshot};
