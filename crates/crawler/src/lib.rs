//! Sources in, applied items out: enumerate, fetch, extract, apply.
//!
//! A [`Crawler`] runs crawls in the background. [`start`](Crawler::start) begins one, [`resume`](Crawler::resume)
//! goes on with those that a crash or a [`stop`](Crawler::stop) interrupted, [`progress`](Crawler::progress) tells
//! how far one is.
//!
//! ```text
//!  start URLs, sitemaps ──> applier ──> crawl database ──> lanes, one per host: claim, wait their turn
//!                             ^   └───> log (requests) ──> wakes lanes   │
//!                             │                                          v
//!                             └── page, links, or why there is none <── workers: robots.txt, request, extract
//! ```
//!
//! *The crawl database is the frontier.* What waits to be fetched is an item that is due there; nothing is kept in
//! memory that is not written first. Records on the log only say that it is worth looking. So a crawl can be killed
//! anywhere: what was claimed is given back, what was applied is announced again, and no page is lost.
//!
//! *One applier writes*, many results at a time, in an order that makes every crash harmless: contents and extracts,
//! then the pages that were found, then what became of the items, then the announcement. Because pages are known
//! before the one that named them is terminal, a crawl without open items is complete.
//!
//! *Each URL is asked for once per crawl.* A redirect makes its URL an alias of the target, which is an item of its
//! own; so does a canonical address. Circles and chains of more than ten redirects are left to a person.
//!
//! *A bucket is a site without links*: what it holds is listed instead of found, and its objects are fetched instead of
//! requested ([`BucketAddress`] says which URL each has). All the rest is the same, so nobody downstream can tell.
//!
//! *Politeness is local to a host*: robots.txt ([`robots`]), a number of requests at a time, a delay between them, the
//! site's own `Crawl-delay`, `Retry-After`, and a breaker that leaves a failing host alone, at last for good.
//!
//! *Addresses are checked where they are used*: after DNS, for every connection, and for addresses written in URLs
//! ([`address`]).
//!
//! ```
//! # async fn example(deps: crawler::CrawlerDeps, site: &model::SourceId) -> Result<(), Box<dyn std::error::Error>> {
//! use crawler::{Crawler, CrawlerOptions};
//!
//! let crawler = Crawler::new(deps, CrawlerOptions::default());
//! crawler.resume().await?;
//! let crawl = crawler.start(site).await?;
//! if let Some(mut progress) = crawler.progress(&crawl) {
//!     let ended = progress.wait_for(|progress| progress.is_final).await?;
//!     println!("{:?}: {:?}", ended.status, ended.totals);
//! }
//! crawler.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod address;
mod announce;
mod applier;
mod bounds;
mod breaker;
mod bucket;
mod conduct;
mod crawler;
mod deliver;
mod enumerate;
mod fetch;
mod lane;
mod listen;
mod met;
mod metrics;
mod options;
mod page;
mod patience;
mod progress;
mod redirects;
pub mod robots;
mod robots_cache;
mod run;
mod shelf;
pub mod sitemap;

pub use crate::bucket::{BucketAccess, BucketAddress, InvalidBucket};
pub use crate::crawler::{CrawlError, Crawler};
pub use crate::fetch::InvalidOverride;
pub use crate::options::{BreakerOptions, Clock, CrawlerDeps, CrawlerOptions};
pub use crate::progress::Progress;
