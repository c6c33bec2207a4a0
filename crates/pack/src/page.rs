use extract::Extract;
use model::{Checksum, ItemId, PageUrl, SourceId, Timestamp};

/// One page to pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Where it is; unique in a pack.
    pub url: PageUrl,
    /// The source that it came from.
    pub source: SourceId,
    /// Its id there.
    pub item: ItemId,
    /// Of the bytes as fetched.
    pub checksum: Checksum,
    /// When it was fetched.
    pub fetched_at: Timestamp,
    /// Its text.
    pub extract: Extract,
}
