use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Instructions of SQLite's machine between two looks at the clock: some microseconds.
const STEPS: i32 = 1000;

/// Stops what a connection does when its time is over.
pub(crate) struct Clock {
    began: Instant,
    /// In nanoseconds after `began`; SQLite's progress handler reads it.
    end: Arc<AtomicU64>,
}

impl Clock {
    pub(crate) fn watch(connection: &mut Connection) -> rusqlite::Result<Self> {
        let clock = Self {
            began: Instant::now(),
            end: Arc::new(AtomicU64::new(u64::MAX)),
        };
        let (began, end) = (clock.began, Arc::clone(&clock.end));
        let is_over = move || nanos(began.elapsed()) > end.load(Ordering::Relaxed);
        connection.progress_handler(STEPS, Some(is_over))?;
        Ok(clock)
    }

    /// Time that passes only while SQLite works.
    pub(crate) fn allow(&self, time: Duration) -> Allowance<'_> {
        Allowance {
            clock: self,
            left: time,
        }
    }
}

/// What is left of the time for one piece of work.
pub(crate) struct Allowance<'a> {
    clock: &'a Clock,
    left: Duration,
}

impl Allowance<'_> {
    /// Does a part of the work.
    pub(crate) fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = self.clock.began.elapsed();
        self.clock.end.store(nanos(start + self.left), Ordering::Relaxed);
        let done = work();
        let took = self.clock.began.elapsed().saturating_sub(start);
        self.left = self.left.saturating_sub(took);
        done
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
