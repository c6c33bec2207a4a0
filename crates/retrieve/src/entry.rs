use std::ops::Range;
use std::time::SystemTime;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::location::{Location, Scheme};

/// One object that a listing, a manifest or the request itself named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub location: Location,
    /// The path below the destination, with `/` between its parts; `select` may change it.
    pub name: String,
    /// Its length in bytes, where it is known before the first request.
    pub size: Option<u64>,
    /// Its entity tag as the server wrote it, quotes included, where it is known.
    pub etag: Option<String>,
    /// When it changed last, where it is known.
    pub last_modified: Option<SystemTime>,
    /// Only these bytes of it.
    pub range: Option<Range<u64>>,
    /// Larger comes first among the entries that are listed and not begun; 0 unless `select` changes it.
    pub priority: i32,
}

impl Entry {
    /// An entry of which only the place is known; it is saved under the last part of its key.
    pub fn new(location: Location) -> Self {
        // The query of a web address may hold a signature.
        let path = match location.scheme() {
            Scheme::Http => location.key().split('?').next().unwrap_or_default(),
            _ => location.key(),
        };
        let name = path.rsplit('/').find(|part| !part.is_empty());
        Self {
            name: name.unwrap_or("index").to_owned(),
            location,
            size: None,
            etag: None,
            last_modified: None,
            range: None,
            priority: 0,
        }
    }
}

/// What is known of a file when its first bytes may flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileMeta {
    /// Counts the files of a run from 0, in request order.
    pub index: u64,
    /// Where it is.
    pub location: Location,
    /// The path below the destination.
    pub name: String,
    /// The length of the whole object in bytes; none where the server does not say.
    pub size: Option<u64>,
    /// The bytes of it that are wanted: all of them, unless the entry or a hook asked for less. Open at the end where
    /// the size is not known.
    pub range: Range<u64>,
    /// The entity tag as the server wrote it, quotes included.
    pub etag: Option<String>,
    /// When it changed last.
    pub last_modified: Option<SystemTime>,
    /// What the server declares of the whole object's bytes.
    pub checksum: Option<Declared>,
}

impl FileMeta {
    /// The bytes that are wanted; none where the size is not known.
    pub fn wanted(&self) -> Option<u64> {
        self.size.map(|_| self.range.end - self.range.start)
    }

    /// Whether the whole object is wanted.
    pub fn is_whole(&self) -> bool {
        self.range.start == 0 && self.size.is_none_or(|size| size == self.range.end)
    }
}

/// The algorithms that S3 knows and whose values of neighbouring ranges can be combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// CRC-64/NVME, the default of S3.
    Crc64Nvme,
    /// CRC-32C (Castagnoli), which GCS declares, too.
    Crc32C,
    /// CRC-32 (ISO-HDLC).
    Crc32,
}

/// A checksum of a whole object, declared by the server or computed of its bytes.
///
/// In JSON the value is text, because many readers keep no more than 53 bits of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// Its value; the lower 32 bits for the two short ones.
    pub value: u64,
}

impl Declared {
    /// The value in hexadecimal digits: 16 for CRC-64/NVME, 8 for the short ones.
    pub fn hex(&self) -> String {
        let value = self.value;
        match self.algorithm {
            Algorithm::Crc64Nvme => format!("{value:016x}"),
            Algorithm::Crc32C | Algorithm::Crc32 => format!("{value:08x}"),
        }
    }
}

impl Serialize for Declared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut declared = serializer.serialize_struct("Declared", 2)?;
        declared.serialize_field("algorithm", &self.algorithm)?;
        declared.serialize_field("value", &self.hex())?;
        declared.end()
    }
}
