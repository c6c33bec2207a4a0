use std::fmt::Write;

use aws_lc_rs::hmac;
use model::{ScraperId, Timestamp};
use registry::{Cause, Outcome, RowChanges, Run, TableChanges, Usage};
use serde::Serialize;

use crate::words::all_tables;

/// What a webhook is told. Instants are RFC 3339 in UTC, durations milliseconds.
#[derive(Serialize)]
struct Payload<'a> {
    delivery: u64,
    scraper: &'a ScraperId,
    run: u64,
    url: String,
    outcome: Outcome,
    exit_code: Option<i32>,
    status_code: i32,
    message: &'a str,
    cause: &'a Cause,
    queued_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    revision: Option<&'a str>,
    language: Option<&'a str>,
    version: Option<u64>,
    rows: RowChanges,
    tables: &'a TableChanges,
    usage: &'a Usage,
}

/// The JSON body of a call about a run that is over; none where it is not. `base` is where this server is reached, without a `/` at its end.
///
/// | field | what |
/// |---|---|
/// | `delivery` | the delivery's number, also in `X-Haul-Delivery` |
/// | `scraper` | `owner/name` |
/// | `run`, `url` | the run's number and page |
/// | `outcome` | `succeeded`, `failed`, `build_failed`, `sync_failed`, `no_data`, `out_of_memory`, `timed_out`, `disk_full`, `stopped` or `lost` |
/// | `exit_code`, `status_code` | of the program, where it exited; the number that morph has for the outcome |
/// | `message` | one sentence for people |
/// | `cause` | why there was a run: `{"kind": "schedule"}`, ... |
/// | `queued_at`, `started_at`, `finished_at` | instants, RFC 3339 |
/// | `revision`, `language`, `version` | the commit; what it is written in; the number of the data's version |
/// | `rows`, `tables` | rows added, removed, changed and unchanged: all tables together, and by table |
/// | `usage` | `wall_ms`, `cpu_ms`, `peak_memory_bytes`, `disk_bytes` |
pub fn payload(delivery: u64, run: &Run, base: &str) -> Option<Vec<u8>> {
    let ending = run.ending.as_ref()?;
    let payload = Payload {
        delivery,
        scraper: &run.scraper,
        run: run.id.0,
        url: run_page(base, run),
        outcome: ending.outcome,
        exit_code: ending.exit_code,
        status_code: ending.status_code(),
        message: &ending.message,
        cause: &run.cause,
        queued_at: rfc3339(run.queued_at),
        started_at: run.started_at.map(rfc3339),
        finished_at: run.finished_at.map(rfc3339),
        revision: ending.revision.as_deref(),
        language: ending.language.as_deref(),
        version: ending.version,
        rows: all_tables(ending.changes.values()),
        tables: &ending.changes,
        usage: &ending.usage,
    };
    serde_json::to_vec(&payload).ok()
}

/// `sha256=` and the HMAC-SHA-256 of `body` in hexadecimal digits.
pub fn signature(key: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let mut text = "sha256=".to_owned();
    for byte in hmac::sign(&key, body).as_ref() {
        // Writing to a String never fails.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Where people see a run.
pub(crate) fn run_page(base: &str, run: &Run) -> String {
    format!("{base}/runs/{}", run.id)
}

/// An instant in UTC.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    let instant = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    instant.to_string()
}
