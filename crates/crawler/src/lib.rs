//! Sources in, applied items out: enumerate, fetch, extract, apply.
//!
//! A [`Crawler`] runs crawls in the background. [`start`](Crawler::start) begins one, [`resume`](Crawler::resume)
//! goes on with those that a crash or a [`stop`](Crawler::stop) interrupted, [`progress`](Crawler::progress) tells
//! how far one is.
//!
//! *The course of a crawl*: enumerating (start URLs and sitemaps, or a listing), processing until no item is open, draining
//! (what others have begun is written, live updates that were told before are applied), orphans (what the crawl missed is
//! judged, the source being asked once more), completed or blocked. Whoever resumes it goes on where it stood.
//!
//! *What a crawl could not see is on its record* before anything is done with that would show it again: a sitemap or
//! robots.txt that cannot be read, a start URL that fails, a host that is given up, a limit that is reached. Nothing that
//! may be hidden there is taken for gone.
//!
//! *Several processes share a crawl.* One leads it; the others find it in the crawl database and work along. Which hosts
//! are whose follows from the consumer group of the requests: a host lies in a partition, and who owns the partition works
//! on the host. When that changes, lanes end and what they had not begun is given back; new lanes open when those who had
//! the host before have let go, or are gone. If the process that leads dies, another one leads on. All of it is decided
//! from records: the crawl is complete when no item is open, whoever closed them.
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
//! *A folder of this machine is a bucket*, too. What cannot be read of it protects what it may hold.
//!
//! *Sources tell of themselves*: a listener takes live updates, with or without a crawl, reads or fetches what they are
//! about, and writes it through the same ledger. Versions decide who wins, so the two need not know of each other.
//!
//! *A [`Janitor`] does the rest*: schedules, retries without a crawl, orphans whose grace is over, sources that are
//! removed. Each [`Chore`] may be done by many processes at once.
//!
//! *Politeness is local to a host*: robots.txt ([`robots`]), a number of requests at a time, a delay between them, the
//! site's own `Crawl-delay`, `Retry-After`, and a breaker that leaves a failing host alone, at last for good.
//!
//! *Addresses are checked where they are used*: after DNS, for every connection, and for addresses written in URLs
//! ([`address`]).
//!
//! ```
//! # async fn example(deps: crawler::CrawlerDeps, site: &model::SourceId) -> Result<(), Box<dyn std::error::Error>> {
//! use crawldb::CrawlKind;
//! use crawler::{Crawler, CrawlerOptions, StartedCrawl, Takeover};
//!
//! let crawler = Crawler::new(deps, CrawlerOptions::default());
//! crawler.resume(Takeover::All).await?;
//! let StartedCrawl::Running(crawl) = crawler.start(site, CrawlKind::Full).await? else { return Ok(()) };
//! if let Some(mut progress) = crawler.progress(&crawl) {
//!     let ended = progress.wait_for(|progress| progress.is_final).await?;
//!     println!("{:?}: {:?}", ended.status, ended.totals);
//! }
//! crawler.stop().await;
//! # Ok(())
//! # }
//! ```

mod announce;
mod applier;
mod bounds;
mod breaker;
mod bucket;
mod conduct;
mod crawler;
mod deliver;
mod drain;
mod entry;
mod enumerate;
mod fetch;
mod follow;
mod gaps;
mod gate;
mod hosts;
mod incremental;
mod janitor;
mod lane;
mod leases;
mod listen;
mod live;
mod met;
mod metrics;
mod options;
mod page;
mod patience;
mod progress;
mod reach;
mod receipts;
mod redirects;
pub mod robots;
mod robots_cache;
mod run;
mod shelf;
pub mod sitemap;
mod territory;
mod verify;

pub use crate::bounds::is_inside;
pub use crate::bucket::{BucketAccess, BucketAddress, InvalidBucket};
pub use crate::crawler::{CrawlError, Crawler, StartedCrawl, Takeover};
pub use crate::fetch::InvalidOverride;
pub use crate::janitor::{Chore, Janitor};
pub use crate::options::{BreakerOptions, Clock, CrawlerDeps, CrawlerOptions};
pub use crate::progress::Progress;
