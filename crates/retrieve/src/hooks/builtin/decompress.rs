use bytes::Bytes;

use super::inflate::{Inflate, new_inflate};
use crate::entry::{Entry, FileMeta};
use crate::hooks::{OrderedHook, Select, StatefulHook};
use crate::location::Scheme;

/// Saves or hands out what gzip and Zstandard files hold, as many members or frames as there are.
///
/// Memory: for each open file the window of its format (gzip 32 KiB, Zstandard up to 128 MiB, 8 MiB as a rule) and what
/// one push expands to, up to [`DecompressLimits::max_push_bytes`].
#[derive(Debug)]
pub struct Decompress {
    by: DecompressBy,
    limits: DecompressLimits,
}

/// How a compressed file is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressBy {
    /// By `.gz`, `.tgz` or `.zst` at the end of its key, which the saved name loses (`.tgz` becomes `.tar`). One that is
    /// not what it is named fails.
    Suffix,
    /// By its first bytes; names stay. All files take the ordered path then, as any might be one.
    Content,
}

/// What a compressed file may grow to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecompressLimits {
    /// Bytes of one file; 1 TiB.
    pub max_bytes: u64,
    /// Bytes that come out for one that goes in, once 64 MiB are out; 200. Text has 3 to 20, a disk image of zeros 1000.
    pub max_ratio: u64,
    /// Bytes that come out of one piece of at most 1 MiB, which bounds memory; 256 MiB, so that the ratio decides first.
    pub max_push_bytes: usize,
}

/// Below this no ratio is suspicious.
const RATIO_FREE_BYTES: u64 = 64 << 20;

impl Default for DecompressLimits {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 40,
            max_ratio: 200,
            max_push_bytes: 256 << 20,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Zstd,
}

/// Suffix, format, and what takes its place.
const SUFFIXES: [(&str, Format, &str); 3] = [
    (".gz", Format::Gzip, ""),
    (".tgz", Format::Gzip, ".tar"),
    (".zst", Format::Zstd, ""),
];

impl Decompress {
    /// Decompresses what is known `by` its suffix or content, within `limits`.
    pub fn new(by: DecompressBy, limits: DecompressLimits) -> Self {
        Self { by, limits }
    }
}

impl StatefulHook for Decompress {
    fn name(&self) -> &str {
        "decompress"
    }

    fn select(&mut self, entry: &mut Entry) -> Select {
        if self.by == DecompressBy::Suffix
            && let Some((stem, format, suffix)) = split_suffix(&entry.name)
            && Some(format) == format_of(entry.location.scheme(), entry.location.key())
        {
            entry.name = format!("{stem}{suffix}");
        }
        Select::Keep
    }

    fn ordered(&mut self, meta: &FileMeta) -> Option<Box<dyn OrderedHook>> {
        let state = match self.by {
            DecompressBy::Content => State::Sniffing(Vec::new()),
            DecompressBy::Suffix => {
                let format = format_of(meta.location.scheme(), meta.location.key())?;
                State::Inflating(format, new_inflate(format))
            }
        };
        Some(Box::new(Decompressing {
            state,
            limits: self.limits,
            taken: 0,
            given: 0,
        }))
    }
}

fn format_of(scheme: Scheme, key: &str) -> Option<Format> {
    let path = if scheme == Scheme::Http {
        key.split('?').next()?
    } else {
        key
    };
    split_suffix(path).map(|(_, format, _)| format)
}

/// A name that is nothing but a suffix has none.
fn split_suffix(name: &str) -> Option<(&str, Format, &'static str)> {
    SUFFIXES.iter().find_map(|(suffix, format, instead)| {
        let stem = name.strip_suffix(suffix)?;
        (!stem.is_empty() && !stem.ends_with('/')).then_some((stem, *format, *instead))
    })
}

/// One file on its way through.
struct Decompressing {
    state: State,
    limits: DecompressLimits,
    taken: u64,
    given: u64,
}

enum State {
    /// The first bytes, as long as they may still be either format.
    Sniffing(Vec<u8>),
    Inflating(Format, Box<dyn Inflate>),
    /// It is not compressed.
    Passing,
}

impl OrderedHook for Decompressing {
    fn on_ordered(&mut self, bytes: Bytes) -> Result<Bytes, String> {
        match &mut self.state {
            State::Passing => Ok(bytes),
            State::Inflating(..) => self.inflate(&bytes),
            State::Sniffing(first) => {
                first.extend_from_slice(&bytes);
                let first = std::mem::take(first);
                self.sniff(first)
            }
        }
    }

    fn finish(&mut self) -> Result<Bytes, String> {
        match &mut self.state {
            State::Passing => Ok(Bytes::new()),
            State::Sniffing(first) => Ok(std::mem::take(first).into()),
            State::Inflating(format, inflate) => {
                let rest = inflate
                    .finish()
                    .map_err(|error| format!("the {format:?} data {error}"))?;
                Ok(rest.into())
            }
        }
    }
}

impl Decompressing {
    fn sniff(&mut self, first: Vec<u8>) -> Result<Bytes, String> {
        let magics = [
            (&[0x1f, 0x8b, 8][..], Format::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd][..], Format::Zstd),
        ];
        if let Some((_, format)) = magics.iter().find(|(magic, _)| first.starts_with(magic)) {
            self.state = State::Inflating(*format, new_inflate(*format));
            return self.inflate(&first);
        }
        if magics.iter().any(|(magic, _)| magic.starts_with(&first)) {
            self.state = State::Sniffing(first);
            return Ok(Bytes::new());
        }
        self.state = State::Passing;
        Ok(first.into())
    }

    fn inflate(&mut self, bytes: &[u8]) -> Result<Bytes, String> {
        let State::Inflating(format, inflate) = &mut self.state else {
            return Ok(Bytes::new());
        };
        self.taken += bytes.len() as u64;
        let (room, why) = room(&self.limits, self.taken, self.given);
        let Some(out) = inflate
            .push(bytes, room)
            .map_err(|error| format!("the {format:?} data {error}"))?
        else {
            return Err(format!(
                "the {format:?} data expands to more than {why}: raise the limit if it is no bomb"
            ));
        };
        self.given += out.len() as u64;
        Ok(out.into())
    }
}

/// How much may come out of a push, and the limit that says so.
fn room(limits: &DecompressLimits, taken: u64, given: u64) -> (usize, String) {
    let DecompressLimits {
        max_bytes,
        max_ratio,
        max_push_bytes,
    } = *limits;
    let by_ratio = taken.saturating_mul(max_ratio).max(RATIO_FREE_BYTES);
    let candidates = [
        (max_push_bytes as u64, format!("{max_push_bytes} bytes at a time")),
        (max_bytes.saturating_sub(given), format!("{max_bytes} bytes")),
        (
            by_ratio.saturating_sub(given),
            format!("{max_ratio} times its size"),
        ),
    ];
    let [mut least, others @ ..] = candidates;
    for other in others {
        if other.0 < least.0 {
            least = other;
        }
    }
    (usize::try_from(least.0).unwrap_or(usize::MAX), least.1)
}
