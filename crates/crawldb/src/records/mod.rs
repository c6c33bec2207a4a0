//! What is kept: sources, crawls, items, documents, and what is being announced.

mod crawl;
mod document;
mod intent;
mod item;
mod source;

use serde::{Deserialize, Serialize};

pub use self::crawl::{
    Approval, Counts, Crawl, CrawlKind, CrawlStatus, CrawlTotals, Enumeration, LogMarks, OrphanReport,
};
pub use self::document::{Body, Document, IndexName, InvalidIndexName, Reference};
pub use self::intent::Intent;
pub use self::item::{
    Decision, Disposition, Item, ItemError, ItemErrorKind, ItemState, Lease, Orphan, Ruling,
};
pub use self::source::{
    ConcurrencyMode, Configuration, DeletionCapability, LiveSettings, OrphanPolicy, Queued, RetryPolicy,
    Settings, SiteSettings, Source, SourceKind,
};

/// The compare-and-swap token of a record: a store takes a write only when it still holds this revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The record does not exist yet; a write that carries this creates it.
    pub const NEW: Self = Self(0);
}

/// What items are grouped by inside a source: completeness, order and politeness hold per scope. The host of web
/// items, the prefix of objects.
pub type Scope = String;
