use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::{Checksum, Hasher};

/// Names what an answer is made of: it changes when, and only when, one of its parts does (RFC 9110, section 8.8.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tag(String);

impl Tag {
    /// For an answer that is sent with and without compression: weak.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finish().to_string();
        Self(format!("W/\"{}\"", digest.get(..32).unwrap_or_default()))
    }

    /// For a file that is sent as it is: strong, so that ranges of it may be put together.
    pub(crate) fn of_file(checksum: &Checksum) -> Self {
        Self(format!("\"{checksum}\""))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the client holds this answer already.
    pub(crate) fn is_held(&self, request: &HeaderMap) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        let own = opaque(&self.0);
        let lines = request
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|line| line.to_str().ok());
        lines
            .flat_map(|line| line.split(','))
            .any(|tag| opaque(tag) == own || tag.trim() == "*")
    }

    /// The answer that `make` makes, or 304 where the client holds it. It may be kept, but is asked for each time.
    pub(crate) async fn answer<R, E, F>(self, request: &HeaderMap, make: F) -> Result<Response, E>
    where
        R: IntoResponse,
        F: Future<Output = Result<R, E>>,
    {
        let mut response = match self.is_held(request) {
            true => StatusCode::NOT_MODIFIED.into_response(),
            false => make.await?.into_response(),
        };
        let failed = response.status().is_client_error() || response.status().is_server_error();
        let headers = response.headers_mut();
        if failed {
            // It may succeed next time, with the same tag.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            return Ok(response);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&self.0) {
            headers.insert(header::ETAG, tag);
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(tag: &Tag, line: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_str(line).unwrap());
        tag.is_held(&headers)
    }

    #[test]
    fn a_tag_changes_with_each_part_and_with_their_borders() {
        let tag = |parts: &[&'static str]| Tag::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(tag(&["a", "b"]), tag(&["a", "b"]));
        assert_ne!(tag(&["a", "b"]), tag(&["ab"]));
        assert_ne!(tag(&["a", "b"]), tag(&["b", "a"]));
    }

    #[test]
    fn comparison_is_weak_and_lists_are_read() {
        let tag = Tag::of([b"a".as_slice()]);
        let strong = tag.0.trim_start_matches("W/").to_owned();
        assert!(held(&tag, &tag.0));
        assert!(held(&tag, &strong));
        assert!(held(&tag, &format!("\"other\", {strong}")));
        assert!(held(&tag, "*"));
        assert!(!held(&tag, "\"other\""));
    }
}
