//! Amounts as people write them.

use std::time::Duration;

/// `64MiB`, `60MB`, `1.5GB`, `4096`: bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no size: write 4096, 60MB (millions) or 64MiB (times 1024)");
    let text = text.trim();
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let unit: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: f64 = number.trim_end().parse().map_err(|_| wrong())?;
    let bytes = number * unit as f64;
    // Beyond 2^53 a float no longer counts single bytes; nobody means that much.
    if !(0.0..9e15).contains(&bytes) {
        return Err(wrong());
    }
    Ok(bytes as u64)
}

/// A size that is not zero.
pub(crate) fn some_bytes(text: &str) -> Result<u64, String> {
    match size(text)? {
        0 => Err("it must be more than nothing".to_owned()),
        bytes => Ok(bytes),
    }
}

/// `60MB/s` or `60MB`: bytes per second, not zero.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    some_bytes(text.trim().trim_end_matches("/s"))
}

/// `20`, `0.5`: seconds, more than none and at most a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no number of seconds: write 20 or 0.5");
    let seconds: f64 = text.trim().trim_end_matches('s').parse().map_err(|_| wrong())?;
    if !(0.001..=86_400.0).contains(&seconds) {
        return Err(wrong());
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// Bytes from the first to the last one, counted from 0, as curl's `--range`; without an end, to the object's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByteRange(pub(crate) std::ops::Range<u64>);

/// `0-99` are the first hundred bytes, `100-` is the rest.
pub(crate) fn byte_range(text: &str) -> Result<ByteRange, String> {
    let wrong = || format!("{text:?} is no range: write 0-99 for the first hundred bytes, 100- for the rest");
    let (first, last) = text.trim().split_once('-').ok_or_else(wrong)?;
    let first: u64 = first.parse().map_err(|_| wrong())?;
    let end = match last {
        "" => u64::MAX,
        last => last.parse::<u64>().map_err(|_| wrong())?.saturating_add(1),
    };
    if first >= end {
        return Err(wrong());
    }
    Ok(ByteRange(first..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_or_binary() {
        for (text, bytes) in [
            ("4096", 4096),
            ("60MB", 60_000_000),
            ("64MiB", 64 << 20),
            ("1.5 gb", 1_500_000_000),
            ("0", 0),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MB", "64M", "-1", "1e40", "NaN", "inf", "ten"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(some_bytes("0").is_err());
    }

    #[test]
    fn rates_are_sizes_per_second() {
        assert_eq!(rate("60MB/s"), Ok(60_000_000));
        assert_eq!(rate("1MiB"), Ok(1 << 20));
        assert!(rate("0/s").is_err());
    }

    #[test]
    fn seconds_have_an_end() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("20s"), Ok(Duration::from_secs(20)));
        for text in ["0", "-1", "1e9", "soon"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_hold_their_last_byte() {
        assert_eq!(byte_range("0-99"), Ok(ByteRange(0..100)));
        assert_eq!(byte_range("7-"), Ok(ByteRange(7..u64::MAX)));
        for text in ["-5", "9-3", "a-b", "5"] {
            assert!(byte_range(text).is_err(), "{text}");
        }
    }
}
