//! Sizes, rates and durations as people write them.

use jiff::SignedDuration;
use std::time::Duration;

/// A quantity that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not a size.
    #[error("`{0}` is no size; write it like 65536, 64KiB, 1GiB or 60MB")]
    Size(String),
    /// Not a duration.
    #[error("`{0}` is no duration; write it like 30ms, 1.5s or 2m")]
    Duration(String),
    /// Not a distribution of delays.
    #[error("`{0}` is no delay; write it like 30ms, 10ms..50ms, lognormal:30ms:0.5 or oneof:10ms,2s")]
    Delay(String),
}

impl QuantityError {
    pub(crate) fn delay(text: &str) -> Self {
        Self::Delay(text.to_owned())
    }
}

const UNITS: [(&str, u64); 9] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1000),
    ("KB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Reads a number of bytes: `65536`, `64KiB`, `1.5GB`.
///
/// # Errors
///
/// When the text is no number with a unit of bytes.
pub fn size(text: &str) -> Result<u64, QuantityError> {
    let unit = UNITS
        .into_iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    if let Ok(number) = number.parse::<u64>() {
        return number
            .checked_mul(bytes)
            .ok_or_else(|| QuantityError::Size(text.to_owned()));
    }
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok((number * bytes as f64) as u64),
        _ => Err(QuantityError::Size(text.to_owned())),
    }
}

/// Reads bytes per second: `60MB/s`, or a size.
///
/// # Errors
///
/// When the text is no size, with or without `/s`.
pub fn rate(text: &str) -> Result<u64, QuantityError> {
    size(text.strip_suffix("/s").unwrap_or(text))
}

/// Reads a duration: `30ms`, `1.5s`, `2m`.
///
/// # Errors
///
/// When the text is no duration or less than nothing.
pub fn duration(text: &str) -> Result<Duration, QuantityError> {
    let parsed = text.parse::<SignedDuration>().ok();
    let duration = parsed.and_then(|duration| Duration::try_from(duration).ok());
    duration.ok_or_else(|| QuantityError::Duration(text.to_owned()))
}
