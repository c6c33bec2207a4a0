use std::sync::atomic::{AtomicU64, Ordering};

use crate::outcome::Outcome;
use crate::stats::Stats;

/// Figures that many threads add to.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) bytes: Counter,
    pub(super) wasted: Counter,
    pub(super) expected: Counter,
    pub(super) resumed: Counter,
    pub(super) rate: AtomicU64,
    pub(super) entries: Counter,
    pub(super) skipped: Counter,
    pub(super) retries: Counter,
    pub(super) slow_downs: Counter,
    done: Counter,
    cached: Counter,
    failed: Counter,
    cancelled: Counter,
}

/// A number that grows.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes back what turned out not to count.
    pub(super) fn take(&self, less: u64) {
        self.0.fetch_sub(less, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn ended(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Done(_) => self.done.add(1),
            Outcome::Cached => self.cached.add(1),
            Outcome::Skipped => self.skipped.add(1),
            Outcome::Failed(_) => self.failed.add(1),
            Outcome::Cancelled => self.cancelled.add(1),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            bytes: self.bytes.get(),
            wasted_bytes: self.wasted.get(),
            expected_bytes: self.expected.get(),
            resumed_bytes: self.resumed.get(),
            bytes_per_second: self.rate.load(Ordering::Relaxed),
            entries: self.entries.get(),
            files_done: self.done.get(),
            files_cached: self.cached.get(),
            files_skipped: self.skipped.get(),
            files_failed: self.failed.get(),
            files_cancelled: self.cancelled.get(),
            retries: self.retries.get(),
            slow_downs: self.slow_downs.get(),
            ..Stats::default()
        }
    }
}
