//! The one range of a request (RFC 9110, section 14).

use std::ops::Range;

/// What a `Range` field asks of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    /// All of it: there is no field, or one that a server ignores (another unit, several ranges, nonsense).
    Whole,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Bytes that it does not have.
    Unsatisfiable,
}

/// Reads a `Range` field for an object of `size` bytes.
pub(crate) fn asked(field: Option<&str>, size: u64) -> Asked {
    match field.and_then(parse) {
        None => Asked::Whole,
        Some(Spec::Last(count)) if count > 0 && size > 0 => Asked::Part(size.saturating_sub(count)..size),
        Some(Spec::Between(first, last)) if first < size => {
            Asked::Part(first..size.min(last.saturating_add(1)))
        }
        Some(_) => Asked::Unsatisfiable,
    }
}

/// First and last byte as asked, whatever the size; the last ones count from the end of all numbers.
pub(crate) fn identity(field: Option<&str>) -> Option<(u64, u64)> {
    match field.and_then(parse)? {
        Spec::Between(first, last) => Some((first, last)),
        Spec::Last(count) => Some((u64::MAX - count, u64::MAX)),
    }
}

enum Spec {
    /// First and last byte; the end of all numbers for "until the end".
    Between(u64, u64),
    /// The last so many.
    Last(u64),
}

fn parse(field: &str) -> Option<Spec> {
    let (first, last) = field.strip_prefix("bytes=")?.split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", count) => number(count).map(Spec::Last),
        (first, "") => Some(Spec::Between(number(first)?, u64::MAX)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::Between(first, last))
        }
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(text: &str) -> Option<u64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
