use std::borrow::Cow;
use std::time::SystemTime;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use quick_xml::events::{BytesRef, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::{Error, ErrorKind};
use crate::list::pages::{Listed, Page};

/// The longest answer that is read, in bytes; 1,000 keys of 1,024 escaped characters each fit.
pub(crate) const MAX_BODY: usize = 16 << 20;
/// Entries of one answer; S3 gives at most 1,000.
const MAX_ENTRIES: usize = 100_000;
/// Elements within one another; a listing has three.
const MAX_DEPTH: usize = 16;

/// All but the unreserved characters of RFC 3986, which is what a SigV4 signature is computed of.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The query of a ListObjectsV2 request, its parameters sorted as a SigV4 signature wants them.
pub(crate) fn query(prefix: &str, start_after: &str, max: usize) -> String {
    let mut query = format!("encoding-type=url&list-type=2&max-keys={max}");
    for (name, value) in [("prefix", prefix), ("start-after", start_after)] {
        if !value.is_empty() {
            query.push_str(&format!("&{name}={}", utf8_percent_encode(value, STRICT)));
        }
    }
    query
}

/// Reads the answer to a ListObjectsV2 request.
///
/// # Errors
///
/// [`ErrorKind::Server`] for a body over [`MAX_BODY`], or one that is no such answer.
pub(crate) fn page(body: &[u8]) -> Result<Page, Error> {
    if body.len() > MAX_BODY {
        return Err(unreadable(format!(
            "it has {} bytes, more than {MAX_BODY}",
            body.len()
        )));
    }
    let text = std::str::from_utf8(body).map_err(|error| unreadable("it is not UTF-8").caused_by(error))?;
    let mut answer = Answer::default();
    read_elements(text, |path, text| answer.element(path, text))?;
    answer.into_page()
}

/// Code and message of the error that an S3 server answers with; none where the body is no such error.
pub(crate) fn error_body(body: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(body.get(..MAX_BODY).unwrap_or(body)).ok()?;
    let (mut code, mut message) = (None, String::new());
    let read = read_elements(text, |path, text| {
        match path {
            ["Error", "Code"] => code = Some(text.to_owned()),
            ["Error", "Message"] => text.clone_into(&mut message),
            _ => {}
        }
        Ok(())
    });
    read.ok()?;
    Some((code?, message))
}

/// What was read of an answer so far.
#[derive(Debug, Default)]
struct Answer {
    entries: Vec<Listed>,
    entry: Listed,
    more: Option<bool>,
    /// Whether keys are percent-encoded; not every server does what `encoding-type` asks for.
    encoded: bool,
}

impl Answer {
    /// Takes one element that has ended, with the text that was directly in it.
    fn element(&mut self, path: &[&str], text: &str) -> Result<(), Error> {
        match path {
            ["ListBucketResult", "IsTruncated"] => self.more = Some(text == "true"),
            ["ListBucketResult", "EncodingType"] => self.encoded = text == "url",
            ["ListBucketResult", "Contents"] => return self.end_entry(),
            ["ListBucketResult", "Contents", "Key"] => text.clone_into(&mut self.entry.key),
            ["ListBucketResult", "Contents", "ETag"] => self.entry.etag = Some(text.to_owned()),
            ["ListBucketResult", "Contents", "LastModified"] => self.entry.last_modified = Some(time(text)?),
            ["ListBucketResult", "Contents", "Size"] => {
                let wrong = |error| unreadable(format!("{text:?} is no size")).caused_by(error);
                self.entry.size = text.parse().map_err(wrong)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Error> {
        if self.entries.len() == MAX_ENTRIES {
            return Err(unreadable(format!("it names more than {MAX_ENTRIES} objects")));
        }
        if self.entry.key.is_empty() {
            return Err(unreadable("it names an object without a key"));
        }
        self.entries.push(std::mem::take(&mut self.entry));
        Ok(())
    }

    fn into_page(mut self) -> Result<Page, Error> {
        let more = self
            .more
            .ok_or_else(|| unreadable("it is no ListBucketResult: check the endpoint"))?;
        if self.encoded {
            for entry in &mut self.entries {
                entry.key = decoded(&entry.key)?;
            }
        }
        Ok(Page {
            entries: self.entries,
            more,
        })
    }
}

/// Calls `ended` for each element when it ends: with the names that lead to it and the text directly in it.
fn read_elements<F>(text: &str, mut ended: F) -> Result<(), Error>
where
    F: FnMut(&[&str], &str) -> Result<(), Error>,
{
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<(String, String)> = Vec::new();
    loop {
        let event = reader
            .read_event()
            .map_err(|error| unreadable("it is bad XML").caused_by(error))?;
        match event {
            Event::Start(_) if open.len() == MAX_DEPTH => {
                return Err(unreadable("its elements are too deep"));
            }
            Event::Start(start) => open.push((start.local_name().as_ref().to_owned(), String::new())),
            Event::End(_) => {
                let path: Vec<&str> = open.iter().map(|(name, _)| name.as_str()).collect();
                ended(&path, open.last().map_or("", |(_, text)| text))?;
                open.pop();
            }
            Event::Text(text) => add(&mut open, &text.xml_content(XmlVersion::Implicit1_0)),
            Event::CData(text) => add(&mut open, &text.xml_content(XmlVersion::Implicit1_0)),
            Event::GeneralRef(name) => add(&mut open, &entity(&name)?),
            Event::Eof if open.is_empty() => return Ok(()),
            Event::Eof => return Err(unreadable("it ends in the middle")),
            Event::DocType(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) | Event::Empty(_) => {}
        }
    }
}

fn add(open: &mut [(String, String)], more: &str) {
    if let Some((_, text)) = open.last_mut() {
        text.push_str(more);
    }
}

/// The character that a reference stands for. No server declares entities of its own.
fn entity(name: &BytesRef<'_>) -> Result<String, Error> {
    let unknown = || unreadable("it has an unknown entity");
    if let Some(c) = name
        .resolve_char_ref()
        .map_err(|error| unknown().caused_by(error))?
    {
        return Ok(c.to_string());
    }
    let text = quick_xml::escape::resolve_predefined_entity(name).ok_or_else(unknown)?;
    Ok(text.to_owned())
}

/// A key as it was before `encoding-type=url`, which writes a space as `+`.
fn decoded(key: &str) -> Result<String, Error> {
    let spaced = if key.contains('+') {
        Cow::from(key.replace('+', " "))
    } else {
        Cow::from(key)
    };
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let wrong = |error| unreadable(format!("the key {key:?} is not UTF-8")).caused_by(error);
    Ok(decoded.map_err(wrong)?.into_owned())
}

/// A time of RFC 3339.
fn time(text: &str) -> Result<SystemTime, Error> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    let wrong = |error| unreadable(format!("{text:?} is no time")).caused_by(error);
    Ok(time.map_err(wrong)?.into())
}

fn unreadable(why: impl std::fmt::Display) -> Error {
    let message = format!("the server's answer to a list request cannot be read: {why}");
    Error::new(ErrorKind::Server, message)
}
