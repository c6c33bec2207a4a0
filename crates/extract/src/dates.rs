use jiff::civil::DateTime;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use model::Timestamp;

/// Reads a date as pages write it: RFC 3339, the same without zone (then UTC) or without time, and RFC 2822. Nothing
/// where it is none of them or before 1970.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let instant = text
        .parse::<jiff::Timestamp>()
        .ok()
        .or_else(|| {
            text.parse::<DateTime>()
                .ok()?
                .to_zoned(TimeZone::UTC)
                .ok()
                .map(|zoned| zoned.timestamp())
        })
        .or_else(|| rfc2822::parse(text).ok().map(|zoned| zoned.timestamp()))?;
    u64::try_from(instant.as_millisecond())
        .ok()
        .map(Timestamp::from_millis)
}
