//! How lines lie in a file.
//!
//! A log that is written is text: a line that names the format, then one record a line, `<milliseconds since 1970> <stream> <text>`,
//! where `o` and `e` are what the program wrote, `O` and `E` what Haul said. A record's number is its place. What does not end with a
//! line feed, or is no record, was being written when the process died: it and what follows it do not count.

use memchr::memchr;

use crate::line::{Line, Stream};

/// The first line of every log.
pub(crate) const HEADER: &[u8] = b"haul-log 1\n";

/// Said of a file that does not begin so.
pub(crate) const OTHER_FORMAT: &str = "it is of another format; use the version of Haul that wrote it";

/// Bytes of text of one line at most, whatever the limits say.
pub(crate) const MAX_LINE_BYTES: usize = 1 << 20;

/// Bytes of one record at most: a line, the mark that it was cut, and what stands before it.
pub(crate) const MAX_RECORD_BYTES: usize = MAX_LINE_BYTES + 128;

/// Bytes of a block at least, but for the last. A block is what is read at a time, and compressed alone.
pub(crate) const BLOCK_BYTES: u64 = 128 << 10;

/// What stands before the text of a line.
pub(crate) fn prefix(at_ms: u64, stream: Stream) -> String {
    format!("{at_ms} {} ", letter(stream))
}

fn letter(stream: Stream) -> char {
    match stream {
        Stream::Stdout => 'o',
        Stream::Stderr => 'e',
        Stream::InternalOut => 'O',
        Stream::InternalErr => 'E',
    }
}

fn stream(letter: u8) -> Option<Stream> {
    Some(match letter {
        b'o' => Stream::Stdout,
        b'e' => Stream::Stderr,
        b'O' => Stream::InternalOut,
        b'E' => Stream::InternalErr,
        _ => return None,
    })
}

/// A record without its line feed.
struct Record<'a> {
    at_ms: u64,
    stream: Stream,
    text: &'a [u8],
}

impl<'a> Record<'a> {
    fn parse(record: &'a [u8]) -> Option<Self> {
        let (at_ms, rest) = record.split_at_checked(memchr(b' ', record)?)?;
        let [b' ', letter, b' ', text @ ..] = rest else {
            return None;
        };
        Some(Self {
            at_ms: str::from_utf8(at_ms).ok()?.parse().ok()?,
            stream: stream(*letter)?,
            text,
        })
    }
}

/// The time of a record, in milliseconds since 1970; nothing where it is no record.
pub(crate) fn time_of(record: &[u8]) -> Option<u64> {
    Record::parse(record).map(|record| record.at_ms)
}

/// Adds the lines after number `after` among `records`, the first of which has number `first`. Nothing when one is no record.
pub(crate) fn read_lines(records: &[u8], first: u64, after: u64, lines: &mut Vec<Line>) -> Option<()> {
    let mut rest = records;
    let mut number = first;
    while let Some(end) = memchr(b'\n', rest) {
        if number > after {
            let record = Record::parse(&rest[..end])?;
            lines.push(Line {
                number,
                at_ms: record.at_ms,
                stream: record.stream,
                text: String::from_utf8_lossy(record.text).into_owned(),
            });
        }
        rest = &rest[end + 1..];
        number += 1;
    }
    rest.is_empty().then_some(())
}
