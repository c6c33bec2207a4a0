use crawldb::{Document, IndexName, Reference};
use serde::Serialize;
use utoipa::ToSchema;

use crate::display::rfc3339;

/// What is searched under one URL, with a reference of every source that has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Document)]
pub(crate) struct DocumentBody {
    url: String,
    /// The index that it is in.
    index: String,
    /// Whether it is searched: it has a reference that is not gone.
    alive: bool,
    /// The reference whose content is shown.
    primary: Option<ReferenceBody>,
    references: Vec<ReferenceBody>,
}

impl DocumentBody {
    pub(crate) fn of(index: &IndexName, document: &Document) -> Self {
        Self {
            url: document.url.to_string(),
            index: index.to_string(),
            alive: document.is_alive(),
            primary: document.primary().map(ReferenceBody::from),
            references: document.references.iter().map(ReferenceBody::from).collect(),
        }
    }
}

/// The share of one item in a document.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reference)]
pub(crate) struct ReferenceBody {
    source: String,
    item: String,
    /// Which write of the item it shows.
    version: u64,
    /// RFC 3339.
    last_updated: String,
    /// Whether the item is gone, or not searched.
    gone: bool,
    /// SHA-256 of the bytes as fetched.
    checksum: Option<String>,
    /// Where the archive keeps the text.
    extract: Option<String>,
}

impl From<&Reference> for ReferenceBody {
    fn from(reference: &Reference) -> Self {
        let body = reference.body.as_ref();
        Self {
            source: reference.source.to_string(),
            item: reference.item.to_string(),
            version: reference.version.as_u64(),
            last_updated: rfc3339(reference.last_updated),
            gone: body.is_none(),
            checksum: body.map(|body| body.checksum.to_string()),
            extract: body.map(|body| body.extract.to_string()),
        }
    }
}
