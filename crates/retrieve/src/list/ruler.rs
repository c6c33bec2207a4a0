use std::collections::BTreeSet;

use crate::list::pages::Listed;

/// Characters of a key that are looked at; an S3 key has at most 1,024 bytes.
const MAX_POSITIONS: usize = 1024;
/// Characters beyond ASCII that are remembered, of one position and of all.
const MAX_OTHERS: usize = 256;
/// Of a page, every so many-th key is learned from.
const SAMPLE: usize = 8;
/// The weight of a character that was not seen at a position but is expected there, to 1 for one that was.
const EXPECTED: f64 = 0.25;
/// The share of a character that is not in the scale.
const STRANGER: f64 = 1.0 / 1024.0;
/// A place within a subtree needs no more positions than this precision can tell apart.
const PRECISION: f64 = 1e-15;

/// Measures how far keys are from each other, so that a listing can be cut where about half of it is expected.
///
/// A key is read like a number whose digits are its code points, because the order of UTF-8 bytes is that of code
/// points. Which digits a position has is learned from the keys that were listed, so `data/5` is the middle of a space
/// of decimal numbers and `data/8` that of a space of hexadecimal ones. It is a guess, and nothing but speed depends on
/// it. Distances are logarithms to the base 2 of the share of the whole key space: one that begins with 900 equal
/// characters would be too small for any float.
#[derive(Debug, Default)]
pub(crate) struct Ruler {
    prefix: String,
    positions: Vec<Seen>,
    /// The characters beyond ASCII that were seen anywhere.
    others: BTreeSet<char>,
    scales: Vec<Scale>,
}

/// The characters that were seen at one position.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// One bit for each ASCII character.
    ascii: u128,
    others: BTreeSet<char>,
}

/// The digits that one position may have.
#[derive(Debug, Default)]
struct Scale {
    digits: Vec<char>,
    /// What share of the position lies below each digit; one more than digits, from 0 to 1.
    below: Vec<f64>,
}

impl Ruler {
    /// A ruler for the keys that begin with `prefix`.
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            ..Self::default()
        }
    }

    /// Learns which characters occur where.
    pub(crate) fn learn(&mut self, entries: &[Listed]) {
        let mut changed = false;
        for entry in entries.iter().step_by(SAMPLE).chain(entries.last()) {
            changed |= self.learn_key(&entry.key);
        }
        if changed {
            self.build_scales();
        }
    }

    /// The distance between two keys, to the end of the prefix where `to` is none.
    pub(crate) fn distance(&self, from: &str, to: Option<&str>) -> f64 {
        let from = self.digits(from);
        let to = to.map(|to| self.digits(to));
        let same = to.as_ref().map_or(0, |to| equal_digits(&from, to));
        let end = to.map_or(1.0, |to| self.place(&to, same));
        let apart = end - self.place(&from, same);
        if apart <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let before: f64 = (0..same).map(|at| self.share(at, from[at]).log2()).sum();
        before + apart.log2()
    }

    /// A text that is about `distance` beyond `key`; none where the key space ends before.
    pub(crate) fn beyond(&self, key: &str, distance: f64) -> Option<String> {
        let digits = self.digits(key);
        let mut subtree: f64 = digits
            .iter()
            .enumerate()
            .map(|(at, c)| self.share(at, *c).log2())
            .sum();
        let mut place = 0.0;
        for at in (0..=digits.len()).rev() {
            if let Some(digit) = digits.get(at) {
                let share = self.share(at, *digit);
                place = self.below(at, *digit) + share * place;
                subtree -= share.log2();
            }
            let step = (distance - subtree).exp2();
            if place + step < 1.0 {
                return Some(self.text(&digits[..at], place + step, step / 16.0));
            }
        }
        None
    }

    fn learn_key(&mut self, key: &str) -> bool {
        let mut changed = false;
        for (at, c) in self.digits(key).into_iter().enumerate() {
            if at == self.positions.len() {
                self.positions.push(Seen::default());
            }
            if is_digit(c) {
                changed |= self.positions[at].add(c);
                changed |= !c.is_ascii() && self.others.len() < MAX_OTHERS && self.others.insert(c);
            }
        }
        changed
    }

    fn build_scales(&mut self) {
        let families: BTreeSet<u128> = self.positions.iter().map(|seen| seen.ascii).collect();
        let scale = |seen| Scale::new(seen, &families, &self.others);
        self.scales = self.positions.iter().map(scale).collect();
    }

    fn digits(&self, key: &str) -> Vec<char> {
        let rest = key.strip_prefix(self.prefix.as_str()).unwrap_or_default();
        rest.chars().take(MAX_POSITIONS).collect()
    }

    /// Where in the subtree of its first `at` characters a key is, from 0 to 1.
    fn place(&self, digits: &[char], at: usize) -> f64 {
        let mut place = 0.0;
        let mut width = 1.0;
        for (at, digit) in digits.iter().enumerate().skip(at) {
            place += width * self.below(at, *digit);
            width *= self.share(at, *digit);
            if width < PRECISION {
                break;
            }
        }
        place
    }

    fn below(&self, at: usize, digit: char) -> f64 {
        self.scales.get(at).map_or(0.0, |scale| scale.below(digit))
    }

    fn share(&self, at: usize, digit: char) -> f64 {
        self.scales.get(at).map_or(1.0, |scale| scale.share(digit))
    }

    /// The text at `place` in the subtree of `start`, no longer than `precision` needs.
    fn text(&self, start: &[char], mut place: f64, precision: f64) -> String {
        let mut text = self.prefix.clone();
        text.extend(start);
        let mut width = 1.0;
        for scale in self.scales.iter().skip(start.len()) {
            let Some((digit, rest)) = scale.digit_at(place) else {
                break;
            };
            let share = scale.share(digit);
            text.push(digit);
            place = rest / share;
            width *= share;
            if width <= precision || place <= 0.0 {
                break;
            }
        }
        text
    }
}

impl Seen {
    /// Whether `c` is new here.
    fn add(&mut self, c: char) -> bool {
        if c.is_ascii() {
            let before = self.ascii;
            self.ascii |= 1 << u32::from(c);
            return before != self.ascii;
        }
        self.others.len() < MAX_OTHERS && self.others.insert(c)
    }

    fn has(&self, c: char) -> bool {
        if c.is_ascii() {
            return self.ascii >> u32::from(c) & 1 == 1;
        }
        self.others.contains(&c)
    }
}

impl Scale {
    /// The characters that were seen, those that were seen together with one of them elsewhere, and one that stands for
    /// all that is greater.
    fn new(seen: &Seen, families: &BTreeSet<u128>, others: &BTreeSet<char>) -> Self {
        let related = families.iter().filter(|family| *family & seen.ascii != 0);
        let expected = related.fold(0, |all, family| all | family);
        let ascii = (0..128u8)
            .map(char::from)
            .filter(|c| expected >> u32::from(*c) & 1 == 1);
        let others = others.iter().copied().filter(|_| !seen.others.is_empty());
        let weighed = ascii
            .chain(others)
            .map(|c| (c, if seen.has(c) { 1.0 } else { EXPECTED }));
        let mut weights: Vec<(char, f64)> = weighed.collect();
        let greater = weights.last().and_then(|(last, _)| (*last..=char::MAX).nth(1));
        weights.extend(greater.filter(|c| is_digit(*c)).map(|c| (c, EXPECTED)));
        Self::of(&weights)
    }

    fn of(weights: &[(char, f64)]) -> Self {
        let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
        let sums = weights.iter().scan(0.0, |sum, (_, weight)| {
            *sum += weight / total;
            Some(*sum)
        });
        Self {
            digits: weights.iter().map(|(digit, _)| *digit).collect(),
            below: std::iter::once(0.0).chain(sums).collect(),
        }
    }

    fn below(&self, digit: char) -> f64 {
        self.below[self.digits.partition_point(|other| *other < digit)]
    }

    fn share(&self, digit: char) -> f64 {
        match self.digits.binary_search(&digit) {
            Ok(at) => self.below[at + 1] - self.below[at],
            Err(_) => STRANGER,
        }
    }

    /// The digit at `place`, and how far `place` is beyond its beginning; none where no digit is known.
    fn digit_at(&self, place: f64) -> Option<(char, f64)> {
        let at = self.below.partition_point(|below| *below <= place).max(1) - 1;
        let at = at.min(self.digits.len().checked_sub(1)?);
        Some((self.digits[at], place - self.below[at]))
    }
}

/// Whether a request may hold the character, and the XML of an answer, too.
fn is_digit(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}')
}

fn equal_digits(a: &[char], b: &[char]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
