use std::io::Read;

use crawldb::ItemErrorKind;
use flate2::read::MultiGzDecoder;

use super::FetchError;

/// What a server answered, so far as a crawl tells answers apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 2xx with a body that was wanted.
    Page(Body),
    /// 2xx with a body of this media type, which was not read.
    Unwanted(String),
    /// 304.
    NotModified {
        etag: Option<String>,
        last_modified: Option<String>,
    },
    /// A redirect to this reference, as written.
    Redirect(String),
    /// 404 or 410.
    Gone(u16),
}

/// What a source answered to the question whether an item is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    /// It is.
    There,
    /// It is not, and how the source said so.
    Gone(String),
    /// It is at this reference from now on (HTTP 301, 308).
    Moved(String),
    /// It is at this reference for the moment (HTTP 302, 303, 307).
    Elsewhere(String),
}

/// A body as it came, and what its headers said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// As it came over the network, perhaps compressed.
    pub(crate) bytes: Vec<u8>,
    pub(crate) is_gzip: bool,
    pub(crate) content_type: Option<String>,
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
    /// The values of `X-Robots-Tag`.
    pub(crate) robots_tags: Vec<String>,
}

impl Body {
    /// The body with its encoding undone, at most `max_bytes` long. Takes processor time: not for an async task.
    pub(crate) fn decode(&mut self, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
        let bytes = std::mem::take(&mut self.bytes);
        if self.is_gzip {
            inflate(&bytes, max_bytes)
        } else {
            Ok(bytes)
        }
    }
}

/// Decompresses, and stops as soon as the result is longer than `max_bytes`.
pub(crate) fn inflate(bytes: &[u8], max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let mut inflated = Vec::with_capacity(
        bytes
            .len()
            .saturating_mul(4)
            .min(usize::try_from(max_bytes).unwrap_or(0)),
    );
    let read = MultiGzDecoder::new(bytes)
        .take(max_bytes.saturating_add(1))
        .read_to_end(&mut inflated);
    if inflated.len() as u64 > max_bytes {
        return Err(too_large(max_bytes));
    }
    match read {
        Ok(_) => Ok(inflated),
        Err(error) => Err(FetchError::passing(
            ItemErrorKind::Transfer,
            format!("the gzip body is damaged: {error}"),
        )),
    }
}

pub(super) fn too_large(max_bytes: u64) -> FetchError {
    let message = format!("the body is larger than {max_bytes} bytes; raise max_body_bytes if it is wanted");
    FetchError::permanent(ItemErrorKind::TooLarge, message)
}
