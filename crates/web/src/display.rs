//! Figures and times as people read them.

use std::time::Duration;

use jiff::tz::TimeZone;
use maud::{Markup, html};
use model::{PageUrl, Timestamp};

/// `12,345`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 page`, `12,345 pages`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

/// `1.2 MB`, in powers of 1000.
pub(crate) fn bytes(number: u64) -> String {
    let mut rest = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if rest < 999.5 {
            let decimals = usize::from(unit != "B" && rest < 9.95);
            return format!("{rest:.decimals$} {unit}");
        }
        rest /= 1_000.0;
    }
    format!("{rest:.1} TB")
}

/// `840 ms`, `30 s`, `4.2 s`, `1 min`, `3 min 20 s`, `2 h 5 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 if duration < Duration::from_millis(1) => "under 1 ms".to_owned(),
        0 => format!("{} ms", duration.as_millis()),
        1..=59 if duration.subsec_millis() == 0 => format!("{seconds} s"),
        1..=59 => format!("{:.1} s", duration.as_secs_f64()),
        60..=3_599 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ if seconds % 3_600 < 60 => format!("{} h", seconds / 3_600),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// The instant for programs: RFC 3339 in UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    instant(at).to_string()
}

/// The instant for people, to the minute.
pub(crate) fn time(at: Timestamp) -> Markup {
    let shown = instant(at)
        .to_zoned(TimeZone::UTC)
        .strftime("%-d %b %Y, %H:%M UTC")
        .to_string();
    html! { time datetime=(rfc3339(at)) { (shown) } }
}

/// The day, for people.
pub(crate) fn date(at: Timestamp) -> Markup {
    let shown = instant(at)
        .to_zoned(TimeZone::UTC)
        .strftime("%-d %b %Y")
        .to_string();
    html! { time datetime=(iso_date(at)) { (shown) } }
}

/// `2026-11-21`.
pub(crate) fn iso_date(at: Timestamp) -> String {
    instant(at).to_zoned(TimeZone::UTC).date().to_string()
}

fn instant(at: Timestamp) -> jiff::Timestamp {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX)
}

/// The address as a trail, `example.gov › forms › w-9.html`, with escapes read where that shows plain words.
pub(crate) fn trail(url: &PageUrl) -> String {
    let mut trail = url.host().to_string();
    for part in url.path().split('/').filter(|part| !part.is_empty()) {
        trail.push_str(" \u{203a} ");
        trail.push_str(&words(part));
    }
    if let Some(query) = url.query() {
        trail.push_str(" ?");
        trail.push_str(query);
    }
    trail
}

/// Decodes only what cannot pretend to be something else: letters, digits and a few marks.
fn words(part: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(part).decode_utf8();
    let plain = |character: char| character.is_alphanumeric() || " -_.,+()=&;:@!'~".contains(character);
    decoded
        .ok()
        .filter(|text| text.chars().all(plain))
        .map_or_else(|| part.to_owned(), String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "page"), "1 page");
        assert_eq!(
            [0, 999, 1_000, 9_960, 1_500_000].map(bytes),
            ["0 B", "999 B", "1.0 kB", "10 kB", "1.5 MB"]
        );
        assert_eq!(bytes(u64::MAX), "18446744.1 TB");
        let spans = [0, 840, 4_200, 30_000, 60_000, 200_000, 7_200_000, 7_500_000];
        assert_eq!(
            spans.map(|ms| duration(Duration::from_millis(ms))),
            [
                "under 1 ms",
                "840 ms",
                "4.2 s",
                "30 s",
                "1 min",
                "3 min 20 s",
                "2 h",
                "2 h 5 min"
            ]
        );
    }

    #[test]
    fn any_instant_can_be_shown() {
        assert_eq!(rfc3339(Timestamp::from_millis(0)), "1970-01-01T00:00:00Z");
        assert_eq!(iso_date(Timestamp::from_millis(1_700_000_000_000)), "2023-11-14");
        assert!(
            time(Timestamp::from_millis(u64::MAX))
                .into_string()
                .contains("9999")
        );
    }

    #[test]
    fn trails_do_not_pretend() {
        let trail_of = |url: &str| trail(&PageUrl::parse(url).unwrap());
        assert_eq!(
            trail_of("https://a.gov/tax%20forms/caf%C3%A9?x=1"),
            "a.gov › tax forms › café ?x=1"
        );
        assert_eq!(trail_of("https://a.gov/%E2%80%AEfdp"), "a.gov › %E2%80%AEfdp");
    }
}
