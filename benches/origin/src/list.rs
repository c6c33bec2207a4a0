//! Pages of ListObjectsV2.

use crate::Object;
use crate::error::S3Error;
use crate::request::Request;
use crate::store::Objects;
use crate::times;
use crate::xml::escape;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Bound;

/// No page has more keys and common prefixes.
const MAX_KEYS: usize = 1000;

/// What stays as it is with `encoding-type=url`. A space is `%20`, which every client decodes, whatever it does to `+`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// Whether a request to a bucket asks for a page.
pub(crate) fn is_asked(request: &Request<'_>) -> bool {
    request
        .parameters()
        .any(|(name, value)| name == "list-type" && value == "2")
}

/// A page as XML.
pub(crate) fn page(objects: &Objects, request: &Request<'_>) -> Result<String, S3Error> {
    let query = Query::read(request)?;
    let page = collect(objects, &query);
    Ok(render(&query, &page))
}

/// The parameters of a list.
#[derive(Default)]
struct Query {
    bucket: String,
    prefix: String,
    delimiter: String,
    start_after: String,
    token: Option<String>,
    /// What the token says.
    after: Option<Last>,
    max_keys: usize,
    encodes: bool,
}

/// What a page ended with, and the next one begins after. Its one-letter name and its text are the token.
#[derive(Clone)]
enum Last {
    Key(String),
    Prefix(String),
}

/// What a page holds.
#[derive(Default)]
struct Page<'a> {
    contents: Vec<(&'a str, &'a Object)>,
    prefixes: Vec<&'a str>,
    next: Option<Last>,
}

impl Query {
    fn read(request: &Request<'_>) -> Result<Self, S3Error> {
        let mut query = Self {
            bucket: request.bucket.to_string(),
            max_keys: MAX_KEYS,
            ..Self::default()
        };
        for (name, value) in request.parameters() {
            match name.as_str() {
                "prefix" => query.prefix = value,
                "delimiter" => query.delimiter = value,
                "start-after" => query.start_after = value,
                "continuation-token" => {
                    query.after = Some(Last::from_token(&value).ok_or(S3Error::InvalidArgument)?);
                    query.token = Some(value);
                }
                "max-keys" => query.max_keys = value.parse().map_err(|_| S3Error::InvalidArgument)?,
                "encoding-type" => query.encodes = value == "url",
                _ => {}
            }
        }
        query.max_keys = query.max_keys.min(MAX_KEYS);
        Ok(query)
    }

    /// Where the page begins; `None` when nothing can follow.
    fn start(&self) -> Option<Bound<String>> {
        let after = match &self.after {
            Some(Last::Key(key)) => Bound::Excluded(key.clone()),
            Some(Last::Prefix(prefix)) => Bound::Included(successor(prefix)?),
            None => Bound::Excluded(self.start_after.clone()),
        };
        let (Bound::Excluded(position) | Bound::Included(position)) = &after else {
            return None;
        };
        if *position < self.prefix {
            Some(Bound::Included(self.prefix.clone()))
        } else {
            Some(after)
        }
    }

    /// The common prefix that stands for a key.
    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        if self.delimiter.is_empty() {
            return None;
        }
        let at = key[self.prefix.len()..].find(&self.delimiter)?;
        Some(&key[..self.prefix.len() + at + self.delimiter.len()])
    }

    fn written<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.encodes {
            utf8_percent_encode(text, ESCAPED).into()
        } else {
            escape(text)
        }
    }
}

impl Last {
    fn token(&self) -> String {
        let text = match self {
            Self::Key(key) => format!("k{key}"),
            Self::Prefix(prefix) => format!("p{prefix}"),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    fn from_token(token: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        match text.strip_prefix('k') {
            Some(key) => Some(Self::Key(key.to_owned())),
            None => text
                .strip_prefix('p')
                .map(|prefix| Self::Prefix(prefix.to_owned())),
        }
    }
}

/// The first text after everything that begins with `prefix`, in the order of bytes, which is that of characters.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = (last as u32 + 1..=char::MAX as u32).find_map(char::from_u32);
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn collect<'a>(objects: &'a Objects, query: &Query) -> Page<'a> {
    let mut page = Page::default();
    let mut last = None;
    let mut start = query.start();
    while let Some(from) = start.take() {
        let bounds = (from.as_ref().map(String::as_str), Bound::Unbounded);
        for (key, entry) in objects
            .range::<str, _>(bounds)
            .take_while(|(key, _)| key.starts_with(&query.prefix))
        {
            if page.contents.len() + page.prefixes.len() == query.max_keys {
                page.next = last;
                return page;
            }
            if let Some(prefix) = query.common_prefix(key) {
                page.prefixes.push(prefix);
                last = Some(Last::Prefix(prefix.to_owned()));
                // All other keys of the prefix are passed over in one step.
                start = successor(prefix).map(Bound::Included);
                break;
            }
            page.contents.push((key, &entry.object));
            if page.contents.len() + page.prefixes.len() == query.max_keys {
                last = Some(Last::Key(key.to_string()));
            }
        }
    }
    page
}

fn render(query: &Query, page: &Page<'_>) -> String {
    let mut xml = String::with_capacity(512 + 256 * page.contents.len());
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str("<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    element(&mut xml, "Name", &escape(&query.bucket));
    element(&mut xml, "Prefix", &query.written(&query.prefix));
    optional(&mut xml, "Delimiter", &query.written(&query.delimiter));
    optional(&mut xml, "StartAfter", &query.written(&query.start_after));
    optional(
        &mut xml,
        "ContinuationToken",
        &escape(query.token.as_deref().unwrap_or_default()),
    );
    optional(&mut xml, "EncodingType", if query.encodes { "url" } else { "" });
    element(&mut xml, "MaxKeys", &query.max_keys.to_string());
    element(
        &mut xml,
        "KeyCount",
        &(page.contents.len() + page.prefixes.len()).to_string(),
    );
    element(
        &mut xml,
        "IsTruncated",
        if page.next.is_some() { "true" } else { "false" },
    );
    optional(
        &mut xml,
        "NextContinuationToken",
        &page.next.as_ref().map(Last::token).unwrap_or_default(),
    );
    render_contents(&mut xml, query, page);
    for prefix in &page.prefixes {
        let prefix = query.written(prefix);
        // Writing to a string does not fail, here and below.
        _ = write!(xml, "<CommonPrefixes><Prefix>{prefix}</Prefix></CommonPrefixes>");
    }
    xml.push_str("</ListBucketResult>");
    xml
}

fn render_contents(xml: &mut String, query: &Query, page: &Page<'_>) {
    let mut modified = (0, times::iso(0));
    for (key, object) in &page.contents {
        if object.modified != modified.0 {
            modified = (object.modified, times::iso(object.modified));
        }
        let (key, time, etag, size) = (query.written(key), &modified.1, object.etag(), object.size);
        _ = write!(
            xml,
            "<Contents><Key>{key}</Key><LastModified>{time}</LastModified><ETag>&quot;{etag}&quot;</ETag>\
             <Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        );
    }
}

fn element(xml: &mut String, name: &str, content: &str) {
    _ = write!(xml, "<{name}>{content}</{name}>");
}

fn optional(xml: &mut String, name: &str, content: &str) {
    if !content.is_empty() {
        element(xml, name, content);
    }
}
