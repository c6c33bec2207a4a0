//! Crawls of small sites, served by real servers on loopback, through the public interface.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod addresses;
mod buckets;
mod certificates;
mod concurrency;
mod courtesy;
mod crashes;
mod folders;
mod gaps;
mod incremental;
mod live;
mod orphans;
mod pages;
mod repeat;
mod robots_txt;
mod s3;
mod schedules;
mod sharing;
mod site;
mod sitemaps;
mod trouble;
mod world;
