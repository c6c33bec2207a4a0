//! The crawl database over HTTP: many services work on one, each as if it had it in its own process.
//!
//! [`router()`] serves the two ports of the crawl database, [`crawldb::Store`] and [`crawldb::DocumentStore`], one path
//! for each call. [`RemoteStore`] is the client, and implements both ports; it passes the same conformance suite as the
//! engine behind the service. Neither decides anything: the states of items, locks and versions are the business of
//! the [`Crawldb`](crawldb::Crawldb) handle, on the client's side.
//!
//! # What holds
//!
//! * *Records travel in their serde form*, and the answer to what is not there is `null` with status 200. A 404 always
//!   means that this is not a crawl database, never that a record is missing.
//! * *Names stand in paths, ids in bodies.* Sources, crawls and indexes have names that need no escaping; the ids and
//!   URLs of items may hold anything.
//! * *A write is sent once.* Where its answer is lost, the error is retryable, and the caller reads and decides anew:
//!   every write is a compare-and-swap, so it learns what became of the first one.
//! * *Errors* are `application/problem+json` (RFC 9457) with a member `retryable`: 503 where the call may succeed later,
//!   500 where not, 4xx where the request is wrong. They say what to do, and hold no folders and no secrets.
//! * *A [`Token`]*, where one is configured, is asked for before anything of a body is read.
//! * *Limits*: [`MAX_BATCH`] records and [`MAX_BODY_BYTES`] in a request, 256 MiB in an answer. The client sends
//!   larger batches in parts.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use crawldb::testkit::sample_source;
//! use crawldb::Crawldb;
//! use remote::{RemoteOptions, RemoteStore, RouterOptions, Token};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let token = Some(Token::new("correct-horse-battery-staple")?);
//! let crawldb = Crawldb::memory();
//! let (store, documents) = (Arc::clone(crawldb.store()), Arc::clone(crawldb.documents()));
//! let router = remote::router(store, documents, RouterOptions { token: token.clone() });
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let url = format!("http://{}", listener.local_addr()?);
//! tokio::spawn(async move { axum::serve(listener, router).await });
//!
//! let options = RemoteOptions { token, ..RemoteOptions::default() };
//! let remote = Arc::new(RemoteStore::new(&url, options)?);
//! let elsewhere = Crawldb::new(Arc::clone(&remote) as _, remote);
//! let source = sample_source("docs");
//! elsewhere.add_source(source.id.clone(), source.settings, source.created_at).await?;
//! assert!(crawldb.source(&source.id).await?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
//! ```

mod client;
mod problem;
mod schema;
mod server;
mod token;
mod wire;

pub use crate::client::{RemoteError, RemoteOptions, RemoteStore};
pub use crate::server::{RouterOptions, openapi, router};
pub use crate::token::{InvalidToken, Token};

/// Records in one request at most.
pub const MAX_BATCH: usize = 1_000;
/// Bytes of a request's body at most.
pub const MAX_BODY_BYTES: usize = 64 << 20;
