use std::time::SystemTime;

use async_trait::async_trait;

use crate::error::Error;

/// Something that lists its keys page by page, from any point on.
///
/// `start_after` is all that the parallel listing needs, and all that every server has: it may be any text, whether a
/// key like it exists or not. An implementation tries again by itself; an error that it returns ends the listing.
#[async_trait]
pub(crate) trait Pages: Send + Sync {
    /// Keys greater than `start_after` that begin with the prefix, in the order of their UTF-8 bytes, at most `max`;
    /// `more` says whether others follow.
    async fn page(&self, start_after: &str, max: usize) -> Result<Page, Error>;
}

/// The answer to one list request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Listed>,
    /// Whether keys follow the last entry.
    pub(crate) more: bool,
}

/// One object, as a listing tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: String,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its entity tag as the server wrote it, quotes included.
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<SystemTime>,
}
