//! What objects hold: every byte is a function of the object's content seed and its position.
//!
//! All contents are one endless repetition of the same pattern of [`PERIOD`] bytes, entered at a place (the *phase*)
//! that the seed decides. So a server can send any range of any object from one file of that size, and a checker needs
//! no file at all. The period is eight times a prime: chunks of one size meet the same bytes again only after more
//! than eight million of them.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};
use std::ops::Range;

/// Eight bytes each; a prime.
const WORDS: u64 = 8_388_593;

/// After how many bytes a content repeats itself, about 64 MiB.
pub const PERIOD: u64 = WORDS * 8;

/// How much is generated at once where a checksum is computed.
const BLOCK_BYTES: usize = 64 << 10;

/// The bytes of `range` of a content.
///
/// ```
/// assert_eq!(origin::content(7, 100..200), origin::content(7, 0..200)[100..]);
/// assert_ne!(origin::content(7, 0..100), origin::content(8, 0..100));
/// ```
#[must_use]
pub fn content(seed: u64, range: Range<u64>) -> Vec<u8> {
    let length = range.end.saturating_sub(range.start);
    let mut bytes =
        vec![0; usize::try_from(length).expect("a range asked for in memory is shorter than memory")];
    fill(seed, range.start, &mut bytes);
    bytes
}

/// Writes the bytes of a content from `offset` on into `out`.
pub fn fill(seed: u64, offset: u64, out: &mut [u8]) {
    let mut rest = out;
    for segment in segments(seed, offset..offset.saturating_add(rest.len() as u64)) {
        let (part, after) = rest.split_at_mut((segment.end - segment.start) as usize);
        fill_segment(segment.start, part);
        rest = after;
    }
}

/// Compares bytes that should stand at `offset` of a content.
///
/// # Errors
///
/// The position in the content (not in `bytes`) of the first byte that differs.
pub fn verify(seed: u64, offset: u64, bytes: &[u8]) -> Result<(), u64> {
    let mut rest = bytes;
    for segment in segments(seed, offset..offset.saturating_add(bytes.len() as u64)) {
        let (part, after) = rest.split_at((segment.end - segment.start) as usize);
        if let Some(index) = first_difference(segment.start, part) {
            return Err(offset + (bytes.len() - rest.len() + index) as u64);
        }
        rest = after;
    }
    Ok(())
}

/// The checksum of the first `size` bytes of a content.
#[must_use]
pub fn checksum(seed: u64, size: u64, algorithm: Checksum) -> u64 {
    let crc = algorithm.crc();
    let phase = phase(seed);
    let first = size.min(PERIOD - phase);
    let mut value = pattern_checksum(phase..phase + first, crc);
    let (rounds, last) = ((size - first) / PERIOD, (size - first) % PERIOD);
    if rounds > 0 {
        let round = pattern_checksum(0..PERIOD, crc);
        for _ in 0..rounds {
            value = checksum_combine(crc, value, round, PERIOD);
        }
    }
    if last == 0 {
        value
    } else {
        checksum_combine(crc, value, pattern_checksum(0..last, crc), last)
    }
}

/// A checksum of a whole object, as S3 names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Checksum {
    /// `x-amz-checksum-crc64nvme`, eight bytes.
    Crc64Nvme,
    /// `x-amz-checksum-crc32c` (Castagnoli), four bytes.
    Crc32c,
    /// `x-amz-checksum-crc32` (that of zip and Ethernet), four bytes.
    Crc32,
}

impl Checksum {
    /// The last part of the header's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Crc64Nvme => "crc64nvme",
            Self::Crc32c => "crc32c",
            Self::Crc32 => "crc32",
        }
    }

    pub(crate) fn width_bytes(self) -> usize {
        match self {
            Self::Crc64Nvme => 8,
            Self::Crc32c | Self::Crc32 => 4,
        }
    }

    fn crc(self) -> CrcAlgorithm {
        match self {
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
        }
    }
}

/// The pieces of the pattern that make up `range` of a content, in order.
pub(crate) fn segments(seed: u64, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = (phase(seed) + range.start % PERIOD) % PERIOD;
    let mut left = range.end.saturating_sub(range.start);
    std::iter::from_fn(move || {
        let length = left.min(PERIOD - at);
        let segment = at..at + length;
        (left, at) = (left - length, (at + length) % PERIOD);
        (length > 0).then_some(segment)
    })
}

/// Writes the pattern from `at` on, not over its end.
pub(crate) fn fill_segment(at: u64, out: &mut [u8]) {
    let (head, rest) = out.split_at_mut(unaligned_bytes(at).min(out.len()));
    head.copy_from_slice(&word(at / 8).to_le_bytes()[(at % 8) as usize..][..head.len()]);
    let mut index = at.div_ceil(8);
    let mut words = rest.chunks_exact_mut(8);
    for bytes in &mut words {
        bytes.copy_from_slice(&word(index).to_le_bytes());
        index += 1;
    }
    let tail = words.into_remainder();
    tail.copy_from_slice(&word(index).to_le_bytes()[..tail.len()]);
}

/// The index in `bytes` of the first byte that is not the pattern's, which starts at `at`.
fn first_difference(at: u64, bytes: &[u8]) -> Option<usize> {
    let (head, rest) = bytes.split_at(unaligned_bytes(at).min(bytes.len()));
    if head != &word(at / 8).to_le_bytes()[(at % 8) as usize..][..head.len()] {
        return first_difference_bytewise(at, bytes);
    }
    let (words, tail) = rest.as_chunks::<8>();
    let first = at.div_ceil(8);
    let differs = |(index, bytes): (u64, &[u8; 8])| u64::from_le_bytes(*bytes) != word(index);
    let good = (first..).zip(words).position(differs).unwrap_or(words.len());
    let done = head.len() + good * 8;
    if good == words.len() && tail == &word(first + good as u64).to_le_bytes()[..tail.len()] {
        return None;
    }
    first_difference_bytewise(at + done as u64, &bytes[done..]).map(|index| done + index)
}

fn first_difference_bytewise(at: u64, bytes: &[u8]) -> Option<usize> {
    let expected = (at..).map(|at| word(at / 8).to_le_bytes()[(at % 8) as usize]);
    bytes
        .iter()
        .zip(expected)
        .position(|(byte, expected)| *byte != expected)
}

/// How many bytes of the pattern from `at` on belong to a word that began before.
fn unaligned_bytes(at: u64) -> usize {
    ((8 - at % 8) % 8) as usize
}

fn pattern_checksum(range: Range<u64>, crc: CrcAlgorithm) -> u64 {
    let mut digest = Digest::new(crc);
    let mut block = vec![0; BLOCK_BYTES];
    for at in range.clone().step_by(BLOCK_BYTES) {
        let part = &mut block[..(range.end - at).min(BLOCK_BYTES as u64) as usize];
        fill_segment(at, part);
        digest.update(part);
    }
    digest.finalize()
}

fn phase(seed: u64) -> u64 {
    mix(seed) % PERIOD
}

fn word(index: u64) -> u64 {
    mix(index ^ 0x6f72_6967_696e)
}

/// The output function of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): every
/// bit of the answer depends on every bit of `value`, and no two values have the same answer.
pub(crate) fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
