use std::fmt;

use model::{ArchiveKey, Checksum, Host, ItemId, PageUrl, SourceId, Timestamp, Version};
use serde::{Deserialize, Serialize};

use super::Revision;

/// What is searched: a page by its URL, with a reference of every source that has it.
///
/// It lives while it has one reference that is not gone. References that are gone stay as tombstones until nothing
/// older can arrive, so merging is idempotent and the order of writes does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its key in the index.
    pub url: PageUrl,
    /// Compare-and-swap token.
    #[serde(default)]
    pub revision: Revision,
    /// One per item that has, or had, this URL, by source and item.
    pub references: Vec<Reference>,
}

/// The share of one item in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The source.
    pub source: SourceId,
    /// The item.
    pub item: ItemId,
    /// Which write of the item it shows.
    pub version: Version,
    /// The revision of that write: orders writes of one version.
    pub write: u64,
    /// When the item was last updated.
    pub last_updated: Timestamp,
    /// What it brings; none where the item is gone or is not searched.
    pub body: Option<Body>,
}

/// What an item brings to a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Body {
    /// Of the bytes as fetched.
    pub checksum: Checksum,
    /// Where the archive keeps the extract.
    pub extract: ArchiveKey,
}

impl Document {
    /// A document without references.
    pub fn new(url: PageUrl) -> Self {
        Self {
            url,
            revision: Revision::NEW,
            references: Vec::new(),
        }
    }

    /// The host that it is packed with.
    pub fn host(&self) -> Host {
        self.url.host()
    }

    /// References that are not gone.
    pub fn present(&self) -> impl Iterator<Item = &Reference> {
        self.references
            .iter()
            .filter(|reference| reference.body.is_some())
    }

    /// Whether it is searched.
    pub fn is_alive(&self) -> bool {
        self.present().next().is_some()
    }

    /// The reference whose body is shown: the first by source and item, whoever wrote when.
    pub fn primary(&self) -> Option<&Reference> {
        self.present().next()
    }
}

/// The name of an index of documents: 1 to 64 of `a-z`, `0-9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IndexName(String);

/// The text is not the name of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("index name {0:?} is not valid: use 1 to 64 of a-z, 0-9 and '-'")]
pub struct InvalidIndexName(String);

impl IndexName {
    /// Checks `text` and makes it a name.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIndexName> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(allowed) {
            return Ok(Self(text));
        }
        Err(InvalidIndexName(text.chars().take(100).collect()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for IndexName {
    /// The index that a new database has.
    fn default() -> Self {
        Self("main".to_owned())
    }
}

impl fmt::Display for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for IndexName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IndexName({:?})", self.0)
    }
}

impl std::str::FromStr for IndexName {
    type Err = InvalidIndexName;

    fn from_str(text: &str) -> Result<Self, InvalidIndexName> {
        Self::new(text)
    }
}

impl TryFrom<String> for IndexName {
    type Error = InvalidIndexName;

    fn try_from(text: String) -> Result<Self, InvalidIndexName> {
        Self::new(text)
    }
}

impl From<IndexName> for String {
    fn from(name: IndexName) -> Self {
        name.0
    }
}
