//! The head of a request, as far as the server looks at it.

use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// A longer head is refused.
pub(crate) const MAX_HEAD_BYTES: usize = 32 << 10;

/// More fields than this are refused.
const MAX_FIELDS: usize = 100;

/// A request's method, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Post,
    Other,
}

/// A request without a body.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Decoded, without the first slash.
    pub(crate) bucket: Cow<'a, str>,
    /// Decoded; empty for a request to the bucket itself.
    pub(crate) key: Cow<'a, str>,
    /// As sent, without the question mark.
    pub(crate) query: &'a str,
    pub(crate) range: Option<&'a str>,
    pub(crate) if_match: Option<&'a str>,
    pub(crate) if_none_match: Option<&'a str>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) wants_checksum: bool,
    /// Whether the connection may serve another request.
    pub(crate) keeps_alive: bool,
}

/// What the first bytes of a connection are.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// A request, and how many bytes its head has.
    Request(Box<Request<'a>>, usize),
    /// Not all of a head.
    Partial,
    /// No request that the server could answer.
    Invalid,
}

/// Reads one head from the beginning of `bytes`.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD_BYTES => return Parsed::Partial,
        _ => return Parsed::Invalid,
    };
    let target = head.path.unwrap_or_default();
    let Some(mut request) = Request::new(head.method.unwrap_or_default(), target) else {
        return Parsed::Invalid;
    };
    request.keeps_alive = head.version == Some(1);
    for field in head.headers.iter() {
        // A value that is no UTF-8 belongs to no field that is looked at.
        if let Ok(value) = std::str::from_utf8(field.value) {
            request.look_at(field.name, value.trim());
        }
    }
    Parsed::Request(Box::new(request), length)
}

impl<'a> Request<'a> {
    /// A request of a target in origin form; `None` when the target is another or decodes to no UTF-8.
    fn new(method: &str, target: &'a str) -> Option<Self> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (bucket, key) = path
            .strip_prefix('/')?
            .split_once('/')
            .unwrap_or((&path[1..], ""));
        Some(Self {
            method: Method::of(method),
            bucket: percent_decode_str(bucket).decode_utf8().ok()?,
            key: percent_decode_str(key).decode_utf8().ok()?,
            query,
            range: None,
            if_match: None,
            if_none_match: None,
            authorization: None,
            wants_checksum: false,
            keeps_alive: true,
        })
    }

    fn look_at(&mut self, name: &str, value: &'a str) {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("range") {
            self.range = Some(value);
        } else if is("if-match") {
            self.if_match = Some(value);
        } else if is("if-none-match") {
            self.if_none_match = Some(value);
        } else if is("authorization") {
            self.authorization = Some(value);
        } else if is("x-amz-checksum-mode") {
            self.wants_checksum = value.eq_ignore_ascii_case("enabled");
        } else if is("connection") {
            self.keeps_alive &= !value.eq_ignore_ascii_case("close");
        } else if is("transfer-encoding") || (is("content-length") && value != "0") {
            // A body is not read, so nothing can follow it.
            self.keeps_alive = false;
        }
    }

    /// The parameters of the query, decoded, in order.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, String)> {
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode_form(name), decode_form(value))
        })
    }
}

impl Method {
    fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            _ => Self::Other,
        }
    }
}

fn decode_form(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}
