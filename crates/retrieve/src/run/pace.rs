use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Run;
use super::span::Span;

/// Holds connections to a rate: each byte that came is paid for by the next reads.
#[derive(Default)]
pub(super) struct Pace {
    /// When all that came so far is paid for.
    paid: Mutex<Option<Instant>>,
}

impl Pace {
    /// How long to wait after `bytes` came.
    fn debt(&self, bytes: u64, per_second: u64) -> Duration {
        let now = Instant::now();
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        // What was not used before is not saved up.
        let from = paid.unwrap_or(now).max(now);
        let until = from + Duration::from_secs_f64(bytes as f64 / per_second.max(1) as f64);
        *paid = Some(until);
        until - now
    }

    /// Another limit: what came under the old one counts no more.
    fn forgive(&self) {
        *self.paid.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Run {
    /// Waits as the user's limit wants it after `bytes` came, and while the run is paused.
    pub(super) async fn pace(&self, span: &Span, bytes: usize) {
        let limit = self.control.bytes_per_second();
        let debt = limit.map_or(Duration::ZERO, |limit| self.pace.debt(bytes as u64, limit));
        if debt <= Duration::from_millis(1) && !self.control.is_paused() {
            return;
        }
        span.is_busy();
        let until = Instant::now() + debt;
        loop {
            let changed = self.control.changed().notified();
            if self.control.bytes_per_second() != limit {
                self.pace.forgive();
                break;
            }
            let is_due = Instant::now() >= until && !self.control.is_paused();
            if is_due || span.is_stopped() || self.control.is_cancelled() {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep_until(until.into()), if !self.control.is_paused() => {}
                () = changed => {}
                () = span.stopped() => {}
            }
        }
        span.await_bytes();
    }
}
