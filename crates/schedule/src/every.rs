//! Intervals.

use std::fmt;

use model::Timestamp;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
/// Largest first.
const UNITS: [(char, u64); 5] = [('w', WEEK), ('d', DAY), ('h', HOUR), ('m', MINUTE), ('s', SECOND)];
const MAX: u64 = 52 * WEEK;

/// An interval in milliseconds, of whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Every(u64);

impl Every {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let advice = || "write a whole number of s, m, h, d or w, such as every 6h".to_owned();
        let unit = text.chars().next_back().ok_or_else(advice)?;
        let number = &text[..text.len() - unit.len_utf8()];
        let (_, length) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(advice)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(advice());
        }
        // A number that is too long for the type is too large for the limit, too.
        let count: u64 = number.parse().unwrap_or(u64::MAX);
        let millis = count.saturating_mul(*length);
        if (SECOND..=MAX).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err("write an interval from 1s to 52w".to_owned())
        }
    }

    /// The first turn after `now`.
    pub(crate) fn first_after(self, name: &str, now: Timestamp) -> Timestamp {
        let Self(interval) = self;
        let phase = stable_hash(name) % interval;
        let begun = now.as_millis().checked_sub(phase);
        let turns = begun.map_or(0, |begun| begun / interval + 1);
        Timestamp::from_millis(turns.saturating_mul(interval).saturating_add(phase))
    }

    /// The first turn that is at least half an interval after `last`.
    pub(crate) fn next_after(self, name: &str, last: Timestamp) -> Timestamp {
        let Self(interval) = self;
        let phase = stable_hash(name) % interval;
        let earliest = last.as_millis().saturating_add(interval / 2);
        let turns = earliest.saturating_sub(phase).div_ceil(interval);
        Timestamp::from_millis(turns.saturating_mul(interval).saturating_add(phase))
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, length): &&(char, u64)| self.0.is_multiple_of(*length);
        let (unit, length) = UNITS.iter().find(fits).unwrap_or(&('s', SECOND));
        write!(f, "every {}{unit}", self.0 / length)
    }
}

/// FNV-1a with the mixing of SplitMix64 at its end, so that neighbouring names lie apart. It must stay what it is: places
/// in intervals and windows follow from it.
pub(crate) fn stable_hash(name: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut mixed = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
