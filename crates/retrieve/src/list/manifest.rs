use std::io::{self, BufRead, Read};

use serde::Deserialize;

use crate::entry::Entry;
use crate::error::{Error, ErrorKind};
use crate::location::Location;

/// The longest line, in bytes.
const MAX_LINE: usize = 64 << 10;

/// Entries out of a list, one line after the other, in no more memory than a line takes.
///
/// A line is an address, an address and a name with a tab between them, or a JSON object. Empty lines and those that
/// begin with `#` are passed over; lines may end in CR LF. An error ends it.
#[derive(Debug)]
pub(crate) struct Manifest<R> {
    lines: R,
    line: Vec<u8>,
    number: u64,
    failed: bool,
}

/// A line of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    url: String,
    name: Option<String>,
    size: Option<u64>,
    etag: Option<String>,
    /// First byte, and the one after the last.
    range: Option<(u64, u64)>,
}

impl<R: BufRead> Manifest<R> {
    /// A manifest that is read from `lines`.
    pub(crate) fn new(lines: R) -> Self {
        Self {
            lines,
            line: Vec::new(),
            number: 0,
            failed: false,
        }
    }

    fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        while self.read_line()? {
            let text = std::str::from_utf8(&self.line)
                .map_err(|error| self.wrong("is not UTF-8").caused_by(error))?;
            let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\n', '\r']);
            if !text.trim().is_empty() && !text.starts_with('#') {
                return self.entry(text).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether there is another line.
    fn read_line(&mut self) -> Result<bool, Error> {
        self.line.clear();
        self.number += 1;
        let mut limited = self.lines.by_ref().take(MAX_LINE as u64 + 1);
        let read = limited.read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| self.unreadable(error))?;
        if read > MAX_LINE {
            return Err(self.wrong(&format!("is longer than {MAX_LINE} bytes")));
        }
        Ok(read > 0)
    }

    fn entry(&self, text: &str) -> Result<Entry, Error> {
        if text.starts_with('{') {
            let line: Result<Line, _> = serde_json::from_str(text);
            return self
                .entry_of(line.map_err(|error| self.wrong("is no JSON of an entry").caused_by(error))?);
        }
        let (url, name) = text
            .split_once('\t')
            .map_or((text, None), |(url, name)| (url, Some(name.to_owned())));
        self.entry_of(Line {
            url: url.to_owned(),
            name,
            size: None,
            etag: None,
            range: None,
        })
    }

    fn entry_of(&self, line: Line) -> Result<Entry, Error> {
        let location = Location::parse(&line.url).map_err(|error| {
            let message = format!("line {} of the manifest: {error}", self.number);
            Error::new(error.kind(), message)
        })?;
        let mut entry = Entry::new(location);
        if let Some(name) = line.name {
            if name.is_empty() {
                return Err(self.wrong("has an empty name"));
            }
            entry.name = name;
        }
        if line
            .range
            .is_some_and(|(start, end)| start >= end || line.size.is_some_and(|size| end > size))
        {
            return Err(self.wrong("has a range that ends before it begins, or beyond the size"));
        }
        entry.size = line.size;
        entry.etag = line.etag;
        entry.range = line.range.map(|(start, end)| start..end);
        Ok(entry)
    }

    fn wrong(&self, what: &str) -> Error {
        let message = format!("line {} of the manifest {what}", self.number);
        Error::new(ErrorKind::Invalid, message)
    }

    fn unreadable(&self, error: io::Error) -> Error {
        let message = format!("line {} of the manifest cannot be read", self.number);
        Error::new(ErrorKind::Disk, message).caused_by(error)
    }
}

impl<R: BufRead> Iterator for Manifest<R> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_entry();
        self.failed = next.is_err();
        next.transpose()
    }
}
