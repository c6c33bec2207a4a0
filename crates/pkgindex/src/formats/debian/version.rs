//! The order of Debian's versions: Debian Policy, 5.6.12.

use std::cmp::Ordering;

/// Compares `[epoch:]upstream[-revision]`.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Version::parse(left), Version::parse(right));
    compare_numbers(left.epoch, right.epoch)
        .then_with(|| compare_part(left.upstream, right.upstream))
        .then_with(|| compare_part(left.revision, right.revision))
}

struct Version<'v> {
    epoch: &'v str,
    upstream: &'v str,
    revision: &'v str,
}

impl<'v> Version<'v> {
    fn parse(version: &'v str) -> Self {
        let (epoch, rest) = version.split_once(':').unwrap_or(("", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self {
            epoch,
            upstream,
            revision,
        }
    }
}

/// Compares in turns a part without digits and a number.
fn compare_part(mut left: &str, mut right: &str) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_text, right_text);
        (left_text, left) = split_where(left, |c| c.is_ascii_digit());
        (right_text, right) = split_where(right, |c| c.is_ascii_digit());
        let (left_number, right_number);
        (left_number, left) = split_where(left, |c| !c.is_ascii_digit());
        (right_number, right) = split_where(right, |c| !c.is_ascii_digit());
        let order =
            compare_text(left_text, right_text).then_with(|| compare_numbers(left_number, right_number));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn split_where(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// A tilde comes before everything, even the end; letters come before other characters.
fn compare_text(left: &str, right: &str) -> Ordering {
    let weight = |c: char| match c {
        '~' => (0, c),
        c if c.is_ascii_alphabetic() => (2, c),
        c => (3, c),
    };
    let end = (1, '\0');
    let ended = |text: &str| text.chars().map(weight).chain([end]).collect::<Vec<_>>();
    ended(left).cmp(&ended(right))
}

/// Compares numbers of any length; none is zero.
fn compare_numbers(left: &str, right: &str) -> Ordering {
    let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}
