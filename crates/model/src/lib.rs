//! The nouns that two crates of Haul already share.
//!
//! Ids ([`SourceId`], [`ItemId`], [`CrawlId`]), places ([`Host`], [`PageUrl`], [`ArchiveKey`]), the digest of
//! some bytes ([`Checksum`]), the instant ([`Timestamp`]) and the order that decides which write of an item wins
//! ([`Version`]).
//!
//! Everything here is a plain value: parsing checks it once, so whoever holds one may rely on it. There is no I/O,
//! no clock and no randomness in this crate; a type moves here when a second crate needs it, not before.
//!
//! ```
//! use model::{PageUrl, Rank, Timestamp, Version};
//!
//! let url = PageUrl::parse("HTTP://Example.gov:80/a/../b?q=1#top").unwrap();
//! assert_eq!(url.as_str(), "http://example.gov/b?q=1");
//! assert_eq!(url.host().as_str(), "example.gov");
//!
//! // A live update after the start of a crawl beats what that crawl writes, whatever arrives first.
//! let crawl = Version::new(Timestamp::from_millis(1_000), Rank::Crawl, 0);
//! let live = Version::new(Timestamp::from_millis(1_001), Rank::Live, 0);
//! assert!(live > crawl);
//! ```

mod checksum;
mod ids;
mod time;
mod url;
mod version;

pub use crate::checksum::{Checksum, Hasher, ParseChecksumError};
pub use crate::ids::{
    ArchiveKey, CrawlId, InvalidId, ItemId, OwnerName, RunId, ScraperId, ScraperName, SourceId,
};
pub use crate::time::Timestamp;
pub use crate::url::{Host, InvalidUrl, PageUrl};
pub use crate::version::{Rank, Version};
