//! Times as HTTP and S3 write them.

use jiff::Timestamp;

/// `Mon, 01 Jan 2024 00:00:00 GMT`. What no calendar holds is the beginning of 1970.
pub(crate) fn http(seconds: i64) -> String {
    timestamp(seconds)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// `2024-01-01T00:00:00.000Z`.
pub(crate) fn iso(seconds: i64) -> String {
    timestamp(seconds).strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or_default()
}
