//! Sources in, applied items out: enumerate, fetch, extract, apply.

pub mod address;
mod announce;
mod applier;
mod bounds;
mod breaker;
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
mod progress;
mod redirects;
pub mod robots;
mod robots_cache;
mod run;
pub mod sitemap;

pub use crate::crawler::{CrawlError, Crawler};
pub use crate::fetch::InvalidOverride;
pub use crate::options::{BreakerOptions, Clock, CrawlerDeps, CrawlerOptions};
pub use crate::progress::Progress;
