use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

use model::{ArchiveKey, Checksum};

/// What a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes as fetched.
    Content,
    /// Extracts.
    Extract,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Extract => "extract",
        })
    }
}

/// An object that holds many parts, each compressed for itself.
pub(crate) struct Bundle {
    /// Its name: what it holds and its checksum, so writing it twice changes nothing.
    pub(crate) object: String,
    pub(crate) bytes: Vec<u8>,
    /// Where each part lies, in their order.
    pub(crate) keys: Vec<ArchiveKey>,
}

impl Bundle {
    pub(crate) fn of(kind: Kind, parts: &[Vec<u8>]) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(1)?;
        compressor.include_checksum(true)?;
        let mut bytes = Vec::with_capacity(parts.iter().map(Vec::len).sum::<usize>() / 3);
        let mut ranges = Vec::with_capacity(parts.len());
        for part in parts {
            let start = bytes.len();
            bytes.extend_from_slice(&compressor.compress(part)?);
            ranges.push((start, bytes.len() - start));
        }
        let object = format!("{kind}/{}.bundle", Checksum::of(&bytes));
        let key = |(offset, length)| ArchiveKey::new(format!("{object}#{offset}+{length}"));
        let keys = ranges
            .into_iter()
            .map(key)
            .collect::<Result<_, _>>()
            .map_err(io::Error::other)?;
        Ok(Self { object, bytes, keys })
    }
}

/// Where one part lies: an object and the range of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) object: String,
    pub(crate) range: Range<u64>,
}

impl Part {
    /// Reads `object#offset+length`.
    pub(crate) fn parse(key: &ArchiveKey) -> Option<Self> {
        let (object, place) = key.as_str().split_once('#')?;
        let (offset, length) = place.split_once('+')?;
        let (offset, length): (u64, u64) = (offset.parse().ok()?, length.parse().ok()?);
        Some(Self {
            object: object.to_owned(),
            range: offset..offset.checked_add(length)?,
        })
    }
}

/// How many bytes the archive keeps for `key`, compressed; none where the key names no part of a bundle.
pub fn stored_bytes(key: &ArchiveKey) -> Option<u64> {
    Part::parse(key).map(|part| part.range.end - part.range.start)
}

/// One part as it was before it was compressed; refuses to grow beyond `max_bytes`.
pub(crate) fn decompress(frame: &[u8], max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::with_buffer(frame)?
        .take(max_bytes + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        return Err(io::Error::other(format!(
            "a part is larger than {max_bytes} bytes"
        )));
    }
    Ok(bytes)
}
