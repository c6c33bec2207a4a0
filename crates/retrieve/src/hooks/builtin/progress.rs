use std::time::Duration;

use crate::control::Control;
use crate::hooks::StatefulHook;
use crate::outcome::Report;
use crate::stats::Stats;

/// Tells a closure ten times a second how far the run is, and once more at its end. The closure should be quick.
pub struct Progress<F> {
    show: F,
    estimate: Estimate,
}

/// How far a run is.
#[derive(Clone, Debug)]
pub struct ProgressUpdate<'a> {
    /// The figures.
    pub stats: &'a Stats,
    /// The smoothed rate in bytes per second; none in the first second.
    pub bytes_per_second: Option<f64>,
    /// The time that is left at this rate; none until the listing has ended, and while nothing moves.
    pub remaining: Option<Duration>,
    /// Whether this is the last one.
    pub is_last: bool,
}

impl<F: FnMut(&ProgressUpdate<'_>) + Send> Progress<F> {
    /// Tells `show`.
    pub fn new(show: F) -> Self {
        let estimate = Estimate::default();
        Self { show, estimate }
    }

    fn tell(&mut self, stats: &Stats, is_last: bool) {
        self.estimate.observe(stats);
        (self.show)(&ProgressUpdate {
            stats,
            bytes_per_second: self.estimate.bytes_per_second(),
            remaining: self.estimate.remaining(stats),
            is_last,
        });
    }
}

impl<F: FnMut(&ProgressUpdate<'_>) + Send> StatefulHook for Progress<F> {
    fn name(&self) -> &str {
        "progress"
    }

    fn on_tick(&mut self, stats: &Stats, _control: &Control) {
        self.tell(stats, false);
    }

    fn on_run_end(&mut self, report: &Report) -> Result<(), String> {
        self.tell(&report.stats, true);
        Ok(())
    }
}

/// A rate that forgets: what came five seconds ago counts 1/e of what comes now. The weight that the time before the run
/// would have is taken out, so that the first seconds are not too slow.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    last: Option<(u64, u64)>,
    smoothed: f64,
    /// How much of the weight the seen time has, 0 to 1.
    weight: f64,
    seen_ms: u64,
}

/// Seconds in which the weight of what came falls to 1/e.
const MEMORY_SECONDS: f64 = 5.0;
/// Nothing is said on less than this.
const MIN_SEEN_MS: u64 = 1000;
/// Longer than this is as good as never.
const MAX_REMAINING: Duration = Duration::from_secs(100 * 24 * 3600);

impl Estimate {
    /// Adds what has come since the last call. Figures of the same moment change nothing.
    pub fn observe(&mut self, stats: &Stats) {
        let now = (stats.elapsed_ms, stats.bytes);
        let Some((last_ms, last_bytes)) = self.last else {
            self.last = Some(now);
            return;
        };
        let passed_ms = now.0.saturating_sub(last_ms);
        if passed_ms == 0 {
            return;
        }
        let seconds = passed_ms as f64 / 1e3;
        let rate = now.1.saturating_sub(last_bytes) as f64 / seconds;
        let share = 1.0 - (-seconds / MEMORY_SECONDS).exp();
        self.smoothed += share * (rate - self.smoothed);
        self.weight += share * (1.0 - self.weight);
        self.seen_ms += passed_ms;
        self.last = Some(now);
    }

    /// The smoothed rate; none until a second has been seen.
    pub fn bytes_per_second(&self) -> Option<f64> {
        (self.seen_ms >= MIN_SEEN_MS).then(|| self.smoothed / self.weight)
    }

    /// The time that is left at this rate; none until it is known what there is to fetch, and while nothing moves.
    pub fn remaining(&self, stats: &Stats) -> Option<Duration> {
        let rate = self.bytes_per_second().filter(|_| stats.listing_done)?;
        let there = stats.bytes.saturating_add(stats.resumed_bytes);
        let left = stats.expected_bytes.saturating_sub(there);
        let remaining = Duration::try_from_secs_f64(left as f64 / rate).ok()?;
        Some(remaining).filter(|remaining| *remaining < MAX_REMAINING)
    }
}
