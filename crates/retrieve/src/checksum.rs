//! Checksums that can be computed range by range, in any order, and what servers declare of them.

use std::collections::BTreeMap;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, Digest};
use http::HeaderMap;

use crate::entry::{Algorithm, Declared};

/// A checksum that grows with the bytes.
#[derive(Debug)]
pub(crate) struct Crc {
    digest: Digest,
}

impl Crc {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Self {
            digest: Digest::new(parameters(algorithm)),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
    }

    /// How many bytes it has seen.
    pub(crate) fn len(&self) -> u64 {
        self.digest.get_amount()
    }

    pub(crate) fn value(&self) -> u64 {
        self.digest.finalize()
    }
}

/// The checksum of some bytes.
pub(crate) fn of(algorithm: Algorithm, bytes: &[u8]) -> u64 {
    crc_fast::checksum(parameters(algorithm), bytes)
}

/// The checksum of bytes of checksum `a` followed by `len_b` bytes of checksum `b`.
///
/// A CRC is the remainder of the bytes, read as a polynomial, so `a` moves up by `len_b` bytes: it is multiplied by
/// x^(8 `len_b`) modulo the generator, and that power is had by squaring. A few microseconds, a twentieth of what
/// building matrices costs.
pub(crate) fn combine(algorithm: Algorithm, a: u64, b: u64, len_b: u64) -> u64 {
    let field = Field::of(algorithm);
    let mut moved = a;
    let mut power = field.x_to_the_eighth();
    let mut bytes = len_b;
    while bytes > 0 {
        if bytes & 1 == 1 {
            moved = field.multiply(power, moved);
        }
        power = field.multiply(power, power);
        bytes >>= 1;
    }
    moved ^ b
}

/// Polynomials over GF(2) modulo the generator of a CRC, with the coefficient of x^0 in the highest bit, as the
/// reflected CRCs have it.
struct Field {
    generator: u64,
    one: u64,
}

impl Field {
    fn of(algorithm: Algorithm) -> Self {
        let (generator, width) = match algorithm {
            Algorithm::Crc64Nvme => (0x9a6c_9329_ac4b_c9b5, 64),
            Algorithm::Crc32C => (0x82f6_3b78, 32),
            Algorithm::Crc32 => (0xedb8_8320, 32),
        };
        let one = 1 << (width - 1);
        Self { generator, one }
    }

    fn x_to_the_eighth(&self) -> u64 {
        self.one >> 8
    }

    fn multiply(&self, a: u64, mut b: u64) -> u64 {
        let mut product = 0;
        let mut power = self.one;
        while power > 0 {
            product ^= if a & power == 0 { 0 } else { b };
            b = (b >> 1) ^ if b & 1 == 0 { 0 } else { self.generator };
            power >>= 1;
        }
        product
    }
}

fn parameters(algorithm: Algorithm) -> CrcAlgorithm {
    match algorithm {
        Algorithm::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
        Algorithm::Crc32C => CrcAlgorithm::Crc32Iscsi,
        Algorithm::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
    }
}

/// Which ranges of one file are there and, with an algorithm, their checksums. They come in any order; neighbours are
/// merged, so a file that is whole is one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges {
    algorithm: Option<Algorithm>,
    /// start -> (end, checksum); no two touch or overlap.
    runs: BTreeMap<u64, (u64, u64)>,
}

impl Ranges {
    /// No range yet; without an algorithm checksums are not looked at.
    pub(crate) fn new(algorithm: Option<Algorithm>) -> Self {
        Self {
            algorithm,
            runs: BTreeMap::new(),
        }
    }

    /// The algorithm of the checksums, where they are looked at.
    pub(crate) fn algorithm(&self) -> Option<Algorithm> {
        self.algorithm
    }

    /// Adds a range; false, and nothing is changed, if it is empty or overlaps one that is there.
    pub(crate) fn insert(&mut self, range: Range<u64>, crc: u64) -> bool {
        if range.is_empty() || self.overlaps(&range) {
            return false;
        }
        let (mut start, mut end, mut crc) = (range.start, range.end, crc);
        if let Some((&before, &(touching, left))) = self.runs.range(..start).next_back()
            && touching == start
        {
            crc = self.joined(left, crc, end - start);
            start = before;
        }
        if let Some((after, right)) = self.runs.remove(&end) {
            crc = self.joined(crc, right, after - end);
            end = after;
        }
        self.runs.insert(start, (end, crc));
        true
    }

    fn overlaps(&self, range: &Range<u64>) -> bool {
        let before = self.runs.range(..range.end).next_back();
        before.is_some_and(|(_, (end, _))| *end > range.start)
    }

    fn joined(&self, left: u64, right: u64, len: u64) -> u64 {
        self.algorithm
            .map_or(0, |algorithm| combine(algorithm, left, right, len))
    }

    /// The ranges in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.runs.iter().map(|(start, (end, _))| *start..*end)
    }

    /// Whether they are all of a file of `size` bytes.
    pub(crate) fn covers(&self, size: u64) -> bool {
        size == 0
            || self
                .runs
                .first_key_value()
                .is_some_and(|(start, (end, _))| (*start, *end) == (0, size))
    }

    /// The checksum of a file of `size` bytes; none while a byte is missing, and none without an algorithm.
    pub(crate) fn whole(&self, size: u64) -> Option<u64> {
        let algorithm = self.algorithm.filter(|_| self.covers(size))?;
        Some(
            self.runs
                .get(&0)
                .map_or_else(|| of(algorithm, b""), |(_, crc)| *crc),
        )
    }
}

/// What an answer declares of the whole object; the longest checksum where there are several.
///
/// S3: `x-amz-checksum-*`, which it sends if the request has `x-amz-checksum-mode: ENABLED`. A checksum of checksums
/// (type `COMPOSITE`, or a value that ends in `-` and the number of parts) says nothing about the bytes and is passed
/// over. An answer to a ranged request may carry the checksum of one part, without that ending, so from such an answer
/// it is taken only if the range is the whole object and the type is `FULL_OBJECT`; S3 itself sends none there, so who
/// reads a large object in ranges asks with HEAD.
///
/// GCS: `x-goog-hash` is about the stored object, for ranges, too.
pub(crate) fn declared(headers: &HeaderMap) -> Option<Declared> {
    use Algorithm::{Crc32, Crc32C, Crc64Nvme};
    let of_object = is_of_object(headers);
    [Crc64Nvme, Crc32C, Crc32].into_iter().find_map(|algorithm| {
        let amazon = text(headers, amazon_name(algorithm)).filter(|_| of_object);
        let google = || google_hash(headers, algorithm);
        let value = amazon.and_then(|text| decode(algorithm, text)).or_else(google)?;
        Some(Declared { algorithm, value })
    })
}

fn amazon_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Crc64Nvme => "x-amz-checksum-crc64nvme",
        Algorithm::Crc32C => "x-amz-checksum-crc32c",
        Algorithm::Crc32 => "x-amz-checksum-crc32",
    }
}

/// Whether `x-amz-checksum-*` in these headers is about all bytes of the object.
fn is_of_object(headers: &HeaderMap) -> bool {
    let kind = text(headers, "x-amz-checksum-type");
    match text(headers, "content-range") {
        Some(range) => kind == Some("FULL_OBJECT") && is_whole(range),
        None => matches!(kind, None | Some("FULL_OBJECT")),
    }
}

/// Whether a Content-Range, such as `bytes 0-99/100`, is the whole object.
fn is_whole(content_range: &str) -> bool {
    let parts = content_range
        .strip_prefix("bytes 0-")
        .and_then(|rest| rest.split_once('/'));
    let numbers = parts.and_then(|(last, size)| Some((last.parse::<u64>().ok()?, size.parse::<u64>().ok()?)));
    numbers.is_some_and(|(last, size)| last.checked_add(1) == Some(size))
}

fn google_hash(headers: &HeaderMap, algorithm: Algorithm) -> Option<u64> {
    if algorithm != Algorithm::Crc32C {
        return None;
    }
    let values = headers
        .get_all("x-goog-hash")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut hashes = values.flat_map(|value| value.split(',')).map(str::trim);
    hashes.find_map(|hash| decode(algorithm, hash.strip_prefix("crc32c=")?))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// A value as S3 and GCS write it: base64 of the big-endian bytes.
fn decode(algorithm: Algorithm, text: &str) -> Option<u64> {
    let bytes = STANDARD.decode(text).ok()?;
    match algorithm {
        Algorithm::Crc64Nvme => bytes.try_into().ok().map(u64::from_be_bytes),
        Algorithm::Crc32C | Algorithm::Crc32 => bytes.try_into().ok().map(u32::from_be_bytes).map(u64::from),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const ALL: [Algorithm; 3] = [Algorithm::Crc64Nvme, Algorithm::Crc32C, Algorithm::Crc32];

    #[test]
    fn check_values_of_the_standards() {
        let values = ALL.map(|algorithm| of(algorithm, b"123456789"));
        assert_eq!(values, [0xae8b_1486_0a79_9888, 0xe306_9283, 0xcbf4_3926]);
        let empty = ALL.map(|algorithm| Crc::new(algorithm).value());
        assert_eq!(empty, [0; 3]);
    }

    #[test]
    fn a_running_checksum_knows_its_length() {
        let mut crc = Crc::new(Algorithm::Crc32C);
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!((crc.len(), crc.value()), (9, 0xe306_9283));
    }

    #[test]
    fn ranges_that_overlap_are_not_taken() {
        let mut ranges = Ranges::new(Some(Algorithm::Crc32));
        assert!(ranges.insert(10..20, 1));
        let before = ranges.clone();
        for range in [10..20, 5..11, 19..30, 12..13, 0..100, 7..7] {
            assert!(!ranges.insert(range, 2));
        }
        assert_eq!(ranges, before);
        assert!(ranges.insert(20..21, 3) && ranges.insert(0..1, 3));
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [0..1, 10..21]);
    }

    #[test]
    fn an_empty_file_is_whole() {
        assert_eq!(Ranges::new(Some(Algorithm::Crc64Nvme)).whole(0), Some(0));
        assert_eq!(Ranges::new(Some(Algorithm::Crc64Nvme)).whole(1), None);
    }

    #[test]
    fn without_an_algorithm_only_the_coverage_is_known() {
        let mut ranges = Ranges::new(None);
        assert!(ranges.insert(5..10, 1) && ranges.insert(0..5, 2));
        assert_eq!((ranges.covers(10), ranges.whole(10)), (true, None));
    }

    fn check(headers: &[(&'static str, &'static str)], expected: Option<(Algorithm, u64)>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let found = declared(&map).map(|declared| (declared.algorithm, declared.value));
        assert_eq!(found, expected, "{headers:?}");
    }

    const NVME: (&str, &str) = ("x-amz-checksum-crc64nvme", "rosUhgp5mIg=");
    const CASTAGNOLI: (&str, &str) = ("x-amz-checksum-crc32c", "4waSgw==");
    const ISO: (&str, &str) = ("x-amz-checksum-crc32", "y/Q5Jg==");
    const WHOLE: (&str, &str) = ("x-amz-checksum-type", "FULL_OBJECT");
    const OF_PARTS: (&str, &str) = ("x-amz-checksum-type", "COMPOSITE");

    #[test]
    fn the_longest_declared_checksum_is_taken() {
        check(&[], None);
        check(&[ISO], Some((Algorithm::Crc32, 0xcbf4_3926)));
        check(&[ISO, CASTAGNOLI], Some((Algorithm::Crc32C, 0xe306_9283)));
        check(
            &[ISO, NVME, CASTAGNOLI, WHOLE],
            Some((Algorithm::Crc64Nvme, 0xae8b_1486_0a79_9888)),
        );
    }

    #[test]
    fn checksums_of_parts_are_passed_over() {
        check(&[CASTAGNOLI, OF_PARTS], None);
        check(&[("x-amz-checksum-crc32c", "4waSgw==-7")], None);
        check(
            &[("x-amz-checksum-crc32c", "4waSgw==-7"), ISO],
            Some((Algorithm::Crc32, 0xcbf4_3926)),
        );
    }

    #[test]
    fn a_ranged_answer_must_be_the_whole_object() {
        check(&[ISO, ("content-range", "bytes 0-8/9")], None);
        check(&[ISO, WHOLE, ("content-range", "bytes 0-7/9")], None);
        check(&[ISO, WHOLE, ("content-range", "bytes 0-8/*")], None);
        check(
            &[ISO, WHOLE, ("content-range", "bytes 0-18446744073709551615/0")],
            None,
        );
        check(
            &[ISO, WHOLE, ("content-range", "bytes 0-8/9")],
            Some((Algorithm::Crc32, 0xcbf4_3926)),
        );
    }

    #[test]
    fn google_declares_crc32c_among_others() {
        let expected = Some((Algorithm::Crc32C, 0xe306_9283));
        check(
            &[("x-goog-hash", "crc32c=4waSgw==,md5=JfmqRgEj8AxJeqTqZrPrLg==")],
            expected,
        );
        check(
            &[
                ("x-goog-hash", "md5=JfmqRgEj8AxJeqTqZrPrLg=="),
                ("x-goog-hash", "crc32c=4waSgw=="),
            ],
            expected,
        );
        check(
            &[
                ("x-goog-hash", "md5=a, crc32c=4waSgw=="),
                ("content-range", "bytes 3-4/9"),
            ],
            expected,
        );
        check(&[("x-goog-hash", "crc32c=4waS")], None);
    }

    proptest! {
        #[test]
        fn ranges_in_any_order_have_the_checksum_of_the_whole(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..70), 1..12),
            order in any::<prop::sample::Index>(),
            algorithm in prop::sample::select(&ALL),
        ) {
            let mut at = 0;
            let mut parts: Vec<_> = pieces.iter().map(|piece| {
                let start = at;
                at += piece.len() as u64;
                (start..at, of(algorithm, piece))
            }).collect();
            let turn = order.index(parts.len());
            parts.rotate_left(turn);
            parts.swap(0, turn);
            let mut ranges = Ranges::new(Some(algorithm));
            for (range, crc) in parts {
                prop_assert_eq!(ranges.whole(at), None);
                prop_assert!(ranges.insert(range, crc));
            }
            prop_assert_eq!(ranges.whole(at), Some(of(algorithm, &pieces.concat())));
        }

        #[test]
        fn combining_agrees_with_the_crate(a: u64, b: u64, len in 0..1_u64 << 50, algorithm in prop::sample::select(&ALL)) {
            let mask = if algorithm == Algorithm::Crc64Nvme { u64::MAX } else { u64::from(u32::MAX) };
            let expected = crc_fast::checksum_combine(parameters(algorithm), a & mask, b & mask, len);
            prop_assert_eq!(combine(algorithm, a & mask, b & mask, len), expected);
        }
    }
}
