use super::schedule::Schedule;
use crate::control::Control;
use crate::hooks::{RunStart, StatefulHook};
use crate::stats::Stats;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 24 * 60;

/// Limits the bandwidth by a [`Schedule`]. It speaks only when the limit changes, so that another hand on the
/// [`Control`] holds until then.
#[derive(Debug)]
pub struct RateLimit {
    schedule: Schedule,
    utc_offset_minutes: i32,
    started_unix_ms: u64,
    /// None before the first.
    applied: Option<Option<u64>>,
}

impl RateLimit {
    /// Follows `schedule`; its times are those of a clock that is `utc_offset_minutes` ahead of UTC, 120 for summer in
    /// Berlin.
    pub fn new(schedule: Schedule, utc_offset_minutes: i32) -> Self {
        Self {
            schedule,
            utc_offset_minutes,
            started_unix_ms: 0,
            applied: None,
        }
    }

    fn apply(&mut self, elapsed_ms: u64, control: &Control) {
        let now_ms = self.started_unix_ms.saturating_add(elapsed_ms);
        let limit = self.schedule.at(minute_of_day(now_ms, self.utc_offset_minutes));
        if self.applied.replace(limit) != Some(limit) {
            control.limit_bandwidth(limit);
        }
    }
}

impl StatefulHook for RateLimit {
    fn name(&self) -> &str {
        "rate limit"
    }

    fn is_quick(&self) -> bool {
        true
    }

    fn on_run_start(&mut self, start: &RunStart, control: &Control) {
        self.started_unix_ms = start.started_unix_ms;
        self.apply(0, control);
    }

    fn on_tick(&mut self, stats: &Stats, control: &Control) {
        self.apply(stats.elapsed_ms, control);
    }
}

fn minute_of_day(unix_ms: u64, utc_offset_minutes: i32) -> u32 {
    let minutes = i64::try_from(unix_ms).unwrap_or(i64::MAX) / MINUTE_MS;
    let local = minutes.saturating_add(i64::from(utc_offset_minutes));
    local.rem_euclid(DAY_MINUTES) as u32
}
