use serde::Serialize;

/// The figures of a run at one moment. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Since the run began, in milliseconds.
    pub elapsed_ms: u64,
    /// Wanted bytes that came, once each.
    pub bytes: u64,
    /// Bytes that came and were not needed: the rest of a range that was taken over, a lost race, a failed attempt.
    pub wasted_bytes: u64,
    /// Wanted bytes of all files whose size is known by now, from the listing or their first answer, resumed ones included.
    pub expected_bytes: u64,
    /// Bytes that an earlier run had left behind.
    pub resumed_bytes: u64,
    /// Goodput of the last second, in bytes per second.
    pub bytes_per_second: u64,
    /// Entries listed.
    pub entries: u64,
    /// Whether the listing has come to its end, so that `entries` and `expected_bytes` are final.
    pub listing_done: bool,
    /// Files whose bytes flow or wait.
    pub files_open: u64,
    /// Files that are there.
    pub files_done: u64,
    /// Files that were there already.
    pub files_cached: u64,
    /// Files that nobody wanted.
    pub files_skipped: u64,
    /// Files that failed.
    pub files_failed: u64,
    /// Files that had not ended when the run was cancelled.
    pub files_cancelled: u64,
    /// Requests sent.
    pub requests: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Answers that asked for less (503, 429).
    pub slow_downs: u64,
    /// Ranges of which a free connection took a part.
    pub splits: u64,
    /// Small requests that were sent a second time because the first was late.
    pub hedges: u64,
    /// Connections opened so far.
    pub connections_opened: u64,
    /// Requests in flight.
    pub connections: u64,
    /// Requests that the controller allows in flight.
    pub connections_allowed: u64,
    /// Bytes of the budget in use: waiting for the reader or on their way.
    pub window_bytes: u64,
    /// Events that slow observers did not get.
    pub events_dropped: u64,
}
