use model::{ItemId, SourceId, Timestamp};
use serde::{Deserialize, Serialize};

/// Items that somebody is about to write and to announce: written before them, removed when everybody knows.
///
/// An intent that stays tells what to look at again after a crash: documents and announcements follow from the items'
/// records, so doing it twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Unique; at most 200 bytes.
    pub id: String,
    /// The source of the items.
    pub source: SourceId,
    /// Who is at it.
    pub owner: String,
    /// At most 1,000.
    pub items: Vec<ItemId>,
    /// Since when.
    pub at: Timestamp,
}
