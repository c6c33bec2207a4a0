//! Values as Ruby and its SQLite binding give them to morph's clients.

use std::io::Write;

use dataset::{Column, Value};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;

/// What a column was declared to hold, as far as morph treats it specially.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    Date,
    DateTime,
    Boolean,
}

impl Kind {
    pub(crate) fn of(column: &Column) -> Self {
        let name = column.declared.split('(').next().unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "bit" | "bool" | "boolean" => Self::Boolean,
            _ => Self::Plain,
        }
    }
}

/// A value after Ruby's translation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Translated<'a> {
    Value(Value<'a>),
    Boolean(bool),
    Date(Date),
    DateTime(DateTime, Offset),
}

/// A date that cannot be read stays what it is, and so does NULL.
pub(crate) fn translate(kind: Kind, value: Value<'_>) -> Translated<'_> {
    if kind == Kind::Plain || value == Value::Null {
        return Translated::Value(value);
    }
    let text = text(&value);
    let translated = match kind {
        Kind::Plain => None,
        Kind::Date => instant(&text).map(|(at, _)| Translated::Date(at.date())),
        Kind::DateTime => instant(&text).map(|(at, offset)| Translated::DateTime(at, offset)),
        Kind::Boolean => Some(Translated::Boolean(is_true(&text))),
    };
    translated.unwrap_or(Translated::Value(value))
}

/// `to_s`. Of bytes only those of ASCII are left, as where a text is not UTF-8.
pub(crate) fn text<'a>(value: &'a Value<'_>) -> std::borrow::Cow<'a, str> {
    match value {
        Value::Null => "".into(),
        Value::Integer(number) => number.to_string().into(),
        Value::Real(number) => {
            let mut out = Vec::new();
            float(*number, &mut out);
            String::from_utf8_lossy(&out).into_owned().into()
        }
        Value::Text(text) => text.as_ref().into(),
        Value::Blob(bytes) => bytes
            .iter()
            .filter(|byte| byte.is_ascii())
            .map(|byte| char::from(*byte))
            .collect::<String>()
            .into(),
    }
}

/// Everything but zero and the words for no.
fn is_true(text: &str) -> bool {
    let stripped = text.trim();
    let is_zero = !stripped.is_empty() && stripped.bytes().all(|byte| byte == b'0');
    let is_no = ["false", "f", "no", "n"]
        .iter()
        .any(|no| text.eq_ignore_ascii_case(no));
    !is_zero && !is_no
}

/// `Float#to_s`: the shortest digits that are read back as the number, always with a fraction.
pub(crate) fn float(number: f64, out: &mut Vec<u8>) {
    let size = number.abs();
    // Writing to memory does not fail.
    let _ = if number == 0.0 || (1e-4..1e15).contains(&size) {
        write!(out, "{number:?}")
    } else if number.is_finite() {
        scientific(number, out)
    } else if number.is_nan() {
        write!(out, "NaN")
    } else {
        write!(out, "{}Infinity", if number < 0.0 { "-" } else { "" })
    };
}

fn scientific(number: f64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let fraction = if digits.contains('.') { "" } else { ".0" };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    write!(out, "{digits}{fraction}e{sign}{exponent:0>2}")
}

/// An instant as scrapers write it: `2014-01-02`, `20140102`, `2014/1/2`, alone or with a time and an offset behind it; without one it is UTC.
pub(crate) fn instant(text: &str) -> Option<(DateTime, Offset)> {
    let text = text.trim();
    let end = text.find([' ', 'T']).unwrap_or(text.len());
    let (day, rest) = text.split_at(end);
    let date = date(day)?;
    let rest = rest.trim_start_matches([' ', 'T']);
    if rest.is_empty() {
        return Some((date.to_datetime(Time::midnight()), Offset::UTC));
    }
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
    let (clock, zone) = rest.split_at(end.unwrap_or(rest.len()));
    Some((date.to_datetime(time(clock)?), offset(zone.trim())?))
}

fn date(text: &str) -> Option<Date> {
    let parts: Vec<&str> = if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        vec![&text[..4], &text[4..6], &text[6..]]
    } else {
        text.split(['-', '/']).collect()
    };
    let [year, month, day] = parts[..] else {
        return None;
    };
    if year.len() != 4 {
        return None;
    }
    Date::new(number(year)?, number(month)?, number(day)?).ok()
}

fn time(text: &str) -> Option<Time> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = clock.split(':');
    let (hour, minute) = (number(parts.next()?)?, number(parts.next()?)?);
    let second = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = format!("{fraction:0<9}")
        .get(..9)
        .and_then(|digits| digits.parse().ok())?;
    Time::new(hour, minute, second, nanos).ok()
}

fn offset(text: &str) -> Option<Offset> {
    if matches!(text, "" | "Z" | "UTC" | "GMT") {
        return Some(Offset::UTC);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    if digits.len() != 4 {
        return None;
    }
    let (hours, minutes): (i32, i32) = (number(&digits[..2])?, number(&digits[2..])?);
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// `2014-01-02T03:04:05.000+00:00`, with as many digits of a second.
pub(crate) fn rfc3339(at: DateTime, offset: Offset, digits: usize) -> String {
    let seconds = offset.seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
    let fraction = format!("{:09}", at.subsec_nanosecond());
    let (dot, fraction) = if digits == 0 {
        ("", "")
    } else {
        (".", fraction.get(..digits).unwrap_or_default())
    };
    let clock = at.strftime("%Y-%m-%dT%H:%M:%S");
    format!(
        "{clock}{dot}{fraction}{sign}{:02}:{:02}",
        minutes / 60,
        minutes % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_ruby_does() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-0.0, "-0.0"),
            (1e14, "100000000000000.0"),
            (1e15, "1.0e+15"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (0.0001, "0.0001"),
            (1e-5, "1.0e-05"),
            (2.5e-7, "2.5e-07"),
            (-1.5e300, "-1.5e+300"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(text(&Value::Real(number)), expected);
        }
    }

    #[test]
    fn dates_are_read_as_ruby_does() {
        for (text, expected) in [
            ("2014-01-02", Some("2014-01-02T00:00:00+00:00")),
            ("20140102", Some("2014-01-02T00:00:00+00:00")),
            ("2014/1/2", Some("2014-01-02T00:00:00+00:00")),
            ("2014-01-02 03:04", Some("2014-01-02T03:04:00+00:00")),
            ("2014-01-02 03:04:05 UTC", Some("2014-01-02T03:04:05+00:00")),
            ("2014-01-02T03:04:05.123+10:00", Some("2014-01-02T03:04:05+10:00")),
            ("2014-01-02T03:04:05-0530", Some("2014-01-02T03:04:05-05:30")),
            ("2014-02-30", None),
            ("1388620800", None),
            ("nonsense", None),
            ("", None),
            ("é é", None),
            ("2014-01-02 +é", None),
        ] {
            let read = instant(text).map(|(at, offset)| rfc3339(at, offset, 0));
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_zero_and_no_word_for_no_is_true() {
        for (text, expected) in [
            ("0", false),
            ("000", false),
            (" 0 ", false),
            ("1", true),
            ("0.0", true),
            ("", true),
            ("False", false),
            ("N", false),
            ("no", false),
            ("t", true),
        ] {
            assert_eq!(is_true(text), expected, "{text:?}");
        }
    }
}
