use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

/// What of a request is noted, in bytes.
const MAX_WHAT_BYTES: usize = 512;

/// The newest requests that took longer than they should.
#[derive(Debug)]
pub(super) struct SlowLog {
    threshold: Duration,
    kept: usize,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    count: u64,
    newest: VecDeque<Slow>,
}

/// A request that took long.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Slow {
    /// When it was answered.
    pub(super) at: Timestamp,
    pub(super) what: String,
    pub(super) took_ms: u64,
}

impl SlowLog {
    pub(super) fn new(threshold: Duration, kept: usize) -> Self {
        Self {
            threshold,
            kept,
            noted: Mutex::default(),
        }
    }

    pub(super) fn threshold(&self) -> Duration {
        self.threshold
    }

    /// Notes a request when it was slow; `what` is only asked for then.
    pub(super) fn note(&self, at: Timestamp, took: Duration, what: impl FnOnce() -> String) {
        if took < self.threshold {
            return;
        }
        let mut what = what();
        what.truncate(what.floor_char_boundary(MAX_WHAT_BYTES));
        let slow = Slow {
            at,
            what,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        };
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        noted.count += 1;
        noted.newest.push_front(slow);
        noted.newest.truncate(self.kept);
    }

    /// How many there were, and the newest first.
    pub(super) fn newest(&self) -> (u64, Vec<Slow>) {
        let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        (noted.count, noted.newest.iter().cloned().collect())
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).count
    }
}
