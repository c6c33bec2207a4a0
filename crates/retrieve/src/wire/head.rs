use std::fmt::Write;
use std::ops::Range;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_RANGE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::body::Framing;

/// A head has at most so many bytes; servers send a few hundred.
pub(super) const MAX_HEAD_BYTES: usize = 32 << 10;
const MAX_HEADERS: usize = 100;

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    keep_alive: bool,
}

/// A `Content-Range` (RFC 9110, section 14.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// Missing in `bytes */total`.
    pub(crate) part: Option<Range<u64>>,
    /// Missing in `bytes a-b/*`.
    pub(crate) total: Option<u64>,
}

impl Head {
    /// Reads a head from the start of `bytes` and says how long it is; none where it is not whole yet.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, String> {
        let mut slots = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut slots);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("the answer is not HTTP: {error}")),
        };
        let status =
            StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for header in parsed.headers.iter() {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| error.to_string())?;
            let value = HeaderValue::from_bytes(header.value).map_err(|error| error.to_string())?;
            headers.append(name, value);
        }
        let said = headers
            .get(CONNECTION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let says = |word: &str| {
            said.split(',')
                .any(|token| token.trim().eq_ignore_ascii_case(word))
        };
        let keep_alive = match parsed.version {
            Some(1) => !says("close"),
            _ => says("keep-alive"),
        };
        let head = Self {
            status,
            headers,
            keep_alive,
        };
        Ok(Some((head, length)))
    }

    /// Where the body ends (RFC 9112, section 6.3).
    pub(super) fn framing(&self, method: &Method) -> Result<Framing, String> {
        let bodiless = self.status.is_informational()
            || self.status == StatusCode::NO_CONTENT
            || self.status == StatusCode::NOT_MODIFIED
            || method == Method::HEAD;
        if bodiless {
            return Ok(Framing::Length(0));
        }
        if let Some(coding) = self.headers.get(TRANSFER_ENCODING) {
            return match coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
                true => Ok(Framing::chunked()),
                false => Err(format!("the transfer encoding {coding:?} is not understood")),
            };
        }
        let mut lengths = self.headers.get_all(CONTENT_LENGTH).iter().map(number);
        match (lengths.next(), lengths.next()) {
            (None, _) => Ok(Framing::UntilClose),
            (Some(Some(length)), None) => Ok(Framing::Length(length)),
            _ => Err("the content length is not one number".into()),
        }
    }

    pub(super) fn keeps_alive(&self) -> bool {
        self.keep_alive
    }

    /// A header as text; none where it is missing or not ASCII.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The declared length of the body.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.headers.get(CONTENT_LENGTH).and_then(number)
    }

    /// What the answer says of the part that it is.
    pub(crate) fn content_range(&self) -> Option<ContentRange> {
        let text = self.headers.get(CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(total.parse().ok()?),
        };
        if range == "*" {
            return Some(ContentRange { part: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let end = last.checked_add(1).filter(|end| *end > first)?;
        let part = Some(first..end);
        Some(ContentRange { part, total })
    }
}

fn number(value: &HeaderValue) -> Option<u64> {
    let text = value.to_str().ok()?.trim();
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The bytes of a request without a body. `target` is path and query.
pub(crate) fn write_request(method: &Method, host: &str, target: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut text = String::with_capacity(512);
    // Writing to a string cannot fail.
    let _ = write!(text, "{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    let mut bytes = text.into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        Head::parse(text.as_bytes()).unwrap().unwrap().0
    }

    #[test]
    fn content_ranges_are_read_as_rfc_9110_writes_them() {
        let range = |text: &str| {
            let head = head(&format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: {text}\r\n\r\n"
            ));
            head.content_range().map(|range| (range.part, range.total))
        };
        assert_eq!(range("bytes 0-9/100"), Some((Some(0..10), Some(100))));
        assert_eq!(range("bytes 5-5/*"), Some((Some(5..6), None)));
        assert_eq!(range("bytes */0"), Some((None, Some(0))));
        for wrong in [
            "bytes 9-0/10",
            "items 0-1/2",
            "bytes 0-18446744073709551615/1",
            "bytes a-b/c",
            "bytes 0-1",
        ] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn two_lengths_are_refused() {
        let doubled = head("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
        assert!(doubled.framing(&Method::GET).is_err());
    }

    #[test]
    fn a_part_of_a_head_is_not_a_head() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-").unwrap().is_none());
        assert!(Head::parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }
}
