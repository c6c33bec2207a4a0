//! Leaves a host alone that keeps failing, instead of burning the retries of its items.

use std::collections::VecDeque;
use std::time::Duration;

use crate::options::BreakerOptions;

/// Requests that the failure rate is taken from.
const WINDOW: usize = 100;
/// Between two requests to a host that was paused, until one succeeds.
const PROBE_SPACING: Duration = Duration::from_secs(1);

/// What one more failure means for its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    GoOn,
    Pause(Duration),
    GiveUp,
}

/// Counts the failures of one host. A plain state machine: its caller waits.
#[derive(Debug)]
pub(crate) struct Breaker {
    options: BreakerOptions,
    last: VecDeque<bool>,
    failures_in_a_row: u32,
    pauses: u32,
}

impl Breaker {
    pub(crate) fn new(options: BreakerOptions) -> Self {
        Self {
            options,
            last: VecDeque::with_capacity(WINDOW),
            failures_in_a_row: 0,
            pauses: 0,
        }
    }

    pub(crate) fn success(&mut self) {
        self.failures_in_a_row = 0;
        self.pauses = 0;
        self.remember(false);
    }

    /// After a pause everything counts anew, but for how many pauses there were.
    pub(crate) fn failure(&mut self) -> Verdict {
        self.failures_in_a_row += 1;
        self.remember(true);
        // A paused host that still fails gets the next pause at once: its probes are few.
        let limit = if self.pauses > 0 {
            2
        } else {
            self.options.failures_in_a_row
        };
        if self.failures_in_a_row < limit && !self.fails_often() {
            return Verdict::GoOn;
        }
        self.last.clear();
        self.failures_in_a_row = 0;
        self.pauses += 1;
        if self.pauses > self.options.max_pauses {
            return Verdict::GiveUp;
        }
        let pause = self
            .options
            .first_pause
            .saturating_mul(1 << (self.pauses - 1).min(16));
        Verdict::Pause(pause.min(self.options.max_pause))
    }

    /// The least time between two requests now.
    pub(crate) fn spacing(&self) -> Duration {
        if self.pauses > 0 {
            PROBE_SPACING.min(self.options.first_pause)
        } else {
            Duration::ZERO
        }
    }

    fn fails_often(&self) -> bool {
        let failures = self.last.iter().filter(|&&failed| failed).count();
        self.last.len() == WINDOW && failures * 100 >= self.options.failure_percent as usize * WINDOW
    }

    fn remember(&mut self, failed: bool) {
        if self.last.len() == WINDOW {
            self.last.pop_front();
        }
        self.last.push_back(failed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_in_a_row_pause_and_pauses_grow_until_the_host_is_given_up() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        let mut verdicts = (0..18)
            .map(|_| breaker.failure())
            .filter(|verdict| *verdict != Verdict::GoOn);
        let seconds = |seconds| Some(Verdict::Pause(Duration::from_secs(seconds)));
        assert_eq!(verdicts.next(), seconds(5));
        assert_eq!(verdicts.next(), seconds(10));
        assert_eq!(verdicts.next(), seconds(20));
        assert_eq!(verdicts.next(), seconds(40));
        assert_eq!(verdicts.next(), Some(Verdict::GiveUp));
    }

    #[test]
    fn a_success_ends_the_row_and_the_growth() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        for _ in 0..5 {
            assert!((0..9).all(|_| breaker.failure() == Verdict::GoOn));
            breaker.success();
        }
        assert_eq!(breaker.spacing(), Duration::ZERO);
    }

    #[test]
    fn fifteen_percent_of_the_last_hundred_pause() {
        let mut breaker = Breaker::new(BreakerOptions::default());
        let mut paused_at = None;
        for request in 1..=200 {
            if request % 5 != 0 {
                breaker.success();
            } else if breaker.failure() != Verdict::GoOn {
                paused_at = paused_at.or(Some(request));
            }
        }
        assert_eq!(paused_at, Some(100));
    }
}
