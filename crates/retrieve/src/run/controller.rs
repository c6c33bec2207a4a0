use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Run;
use super::span::Stop;

/// Requests in flight at the start: enough for a fast line, few enough for a small server.
pub(super) const START: usize = 24;
const TICK: Duration = Duration::from_millis(50);
/// Hooks and events are told at every second tick.
const TOLD: u64 = 2;
/// For requests that were stopped to notice it.
const SETTLE: Duration = Duration::from_secs(2);
/// The window over which goodput is compared.
const WINDOW: Duration = Duration::from_millis(200);

/// What may come for nothing before a twentieth of all is too much.
const WASTE_BYTES: u64 = 16 << 20;

/// Keeps a run going: measures goodput, chooses how many requests are in flight, ends stalled ones.
pub(super) struct Controller {
    run: Arc<Run>,
    climb: Climb,
    ticks: u64,
    /// Bytes at the last ticks, for the rate that is shown.
    past: std::collections::VecDeque<(Instant, u64)>,
    window: (Instant, u64, u64),
    cpu: Cpu,
}

impl Controller {
    pub(super) fn new(run: Arc<Run>) -> Self {
        Self {
            climb: Climb::default(),
            ticks: 0,
            past: std::collections::VecDeque::new(),
            window: (Instant::now(), 0, 0),
            cpu: Cpu::default(),
            run,
        }
    }

    /// Goes on until the run is over, which it then closes.
    pub(super) async fn steer(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.run.file_ended.notified() => {
                    if !self.run.is_complete() {
                        continue;
                    }
                }
                () = self.run.control.changed().notified() => {}
            }
            if self.run.control.is_cancelled() {
                self.run.queue().closed = true;
                self.run.end_all();
            }
            if self.run.is_complete() {
                break;
            }
            self.tick();
        }
        self.settle().await;
        // Observers may need a while to see all of it.
        tokio::task::block_in_place(|| self.run.close());
    }

    /// Requests that nobody needs any more have been told to end. They hold files, which the next run may want.
    async fn settle(&self) {
        self.run.queue().closed = true;
        let settled = async {
            while !self.run.queue().spans.is_empty() {
                self.run.idle.notified().await;
            }
        };
        // Whatever holds one up, a hook perhaps, does not hold up the end.
        let _ = tokio::time::timeout(SETTLE, settled).await;
    }

    fn tick(&mut self) {
        self.cpu.read();
        self.measure();
        self.steer_queue();
        self.run.dispatch();
        self.ticks += 1;
        if self.ticks.is_multiple_of(TOLD) {
            self.run.hooks.tick(&self.run.stats(), &self.run.control);
        }
    }

    fn measure(&mut self) {
        let now = Instant::now();
        let bytes = self.run.counters.bytes.get();
        self.past.push_back((now, bytes));
        while self.past.len() > 2
            && self
                .past
                .front()
                .is_some_and(|(at, _)| now.duration_since(*at) > Duration::from_secs(1))
        {
            self.past.pop_front();
        }
        if let Some((at, before)) = self.past.front() {
            let seconds = now.duration_since(*at).as_secs_f64().max(0.05);
            let rate = (bytes - before) as f64 / seconds;
            self.run.counters.rate.store(rate as u64, Ordering::Relaxed);
        }
    }

    fn steer_queue(&mut self) {
        let now = Instant::now();
        let options = self.run.options();
        let control = &self.run.control;
        let mut queue = self.run.queue();
        queue.paused = control.is_paused();
        queue.memory = control.window().unwrap_or(options.memory_bytes);
        for span in queue.spans.values() {
            let mut state = span.state();
            if queue.paused && state.waits_since.is_some() {
                state.waits_since = Some(now);
            }
            let is_stalled = state
                .waits_since
                .is_some_and(|since| now.saturating_duration_since(since) > options.stall);
            drop(state);
            match is_stalled {
                true => span.stop(Stop::Stalled),
                false => span.nudge(),
            }
        }
        queue.survey();
        let (bytes_now, wasted) = (self.run.counters.bytes.get(), self.run.counters.wasted.get());
        queue.is_wasteful = wasted > WASTE_BYTES + bytes_now / 20;
        queue.is_saturated = self.cpu.is_nearly_full() || self.climb.found_no_gain();
        if let Some(fixed) = control.connections() {
            queue.allowed = fixed.min(options.max_connections);
            return;
        }
        let (since, bytes_before, requests_before) = self.window;
        let elapsed = now.duration_since(since);
        if !options.adaptive || elapsed < WINDOW || queue.paused {
            return;
        }
        let bytes = self.run.counters.bytes.get();
        let sample = Sample {
            bytes_per_second: (bytes - bytes_before) as f64 / elapsed.as_secs_f64(),
            requests_per_second: (queue.requests - requests_before) as f64 / elapsed.as_secs_f64(),
            is_full: queue.active >= queue.allowed,
            is_busy: self.cpu.is_full(),
            was_shed: queue
                .shed_at
                .is_some_and(|at| now.duration_since(at) < Duration::from_secs(5)),
        };
        self.window = (now, bytes, queue.requests);
        queue.allowed = self
            .climb
            .next(queue.allowed, &sample)
            .clamp(1, options.max_connections);
    }
}

impl Drop for Controller {
    /// The retriever went away first: whoever waits is told.
    fn drop(&mut self) {
        if !self.run.is_over.load(Ordering::Acquire) {
            self.run.control.cancel();
            self.run.queue().closed = true;
            self.run.end_all();
            self.run.close();
        }
    }
}

/// What was measured over one window.
struct Sample {
    bytes_per_second: f64,
    requests_per_second: f64,
    /// Whether as many requests were in flight as may be.
    is_full: bool,
    /// Whether this machine's cores are all busy.
    is_busy: bool,
    /// Whether the server asked for less a short while ago.
    was_shed: bool,
}

/// Climbs while more requests bring more: half as many again at a time, back where they brought nothing, and once more
/// after a while, because lines change.
#[derive(Default)]
struct Climb {
    best: f64,
    /// Where the last step began, while its effect is awaited.
    from: Option<usize>,
    rest: u32,
}

impl Climb {
    /// A step must bring a twentieth more.
    const GAIN: f64 = 1.05;
    /// Windows between two tries after one that brought nothing.
    const REST: u32 = 10;

    /// Whether the last step brought nothing.
    fn found_no_gain(&self) -> bool {
        self.rest > 0
    }

    fn next(&mut self, allowed: usize, sample: &Sample) -> usize {
        // Small files are counted by requests: each costs a server the same as some tens of kilobytes.
        let worth = sample.bytes_per_second + sample.requests_per_second * 32_768.0;
        if !sample.is_full || sample.was_shed || sample.is_busy {
            self.from = None;
            self.best = self.best.max(worth);
            return allowed;
        }
        match self.from.take() {
            Some(from) if worth < self.best * Self::GAIN => {
                self.rest = Self::REST;
                return from;
            }
            None if self.rest > 0 => {
                self.rest -= 1;
                self.best = worth;
                return allowed;
            }
            _ => {}
        }
        self.best = worth;
        self.from = Some(allowed);
        allowed + (allowed / 2).max(2)
    }
}

/// How busy this machine is.
#[derive(Default)]
struct Cpu {
    busy: u64,
    idle: u64,
    /// The share of time in which a core was idle, smoothed over some ticks; none until two readings were made.
    idle_share: Option<f64>,
}

impl Cpu {
    /// Reads the clocks of all cores; nobody is busy where nobody says.
    fn read(&mut self) {
        let Some((busy, idle)) = times() else { return };
        let (more_busy, more_idle) = (busy.saturating_sub(self.busy), idle.saturating_sub(self.idle));
        let is_first = self.busy == 0;
        (self.busy, self.idle) = (busy, idle);
        if is_first || more_busy + more_idle == 0 {
            return;
        }
        let share = more_idle as f64 / (more_busy + more_idle) as f64;
        self.idle_share = Some(self.idle_share.map_or(share, |before| before * 0.5 + share * 0.5));
    }

    /// Whether less than a twentieth of all cores is idle.
    fn is_full(&self) -> bool {
        self.idle_share.is_some_and(|share| share < 0.05)
    }

    /// Whether less than a fifth of all cores is idle.
    fn is_nearly_full(&self) -> bool {
        self.idle_share.is_some_and(|share| share < 0.2)
    }
}

/// Busy and idle time of all cores since the start, in ticks (proc(5)).
fn times() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    let fields: Vec<u64> = text
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = fields.get(3)? + fields.get(4)?;
    Some((fields.iter().take(8).sum::<u64>() - idle, idle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(bytes_per_second: f64) -> Sample {
        Sample {
            bytes_per_second,
            requests_per_second: 0.0,
            is_full: true,
            is_busy: false,
            was_shed: false,
        }
    }

    /// A line on which each request brings 10 MB/s, until it is full at `most`.
    fn settle(most: f64) -> Vec<usize> {
        let mut climb = Climb::default();
        let mut allowed = 24;
        (0..30)
            .map(|_| {
                let rate = (allowed as f64 * 10e6).min(most);
                allowed = climb.next(allowed, &sample(rate));
                allowed
            })
            .collect()
    }

    #[test]
    fn it_climbs_while_more_brings_more() {
        let path = settle(1e9);
        assert!(path[5] >= 81, "{path:?}");
        assert!(path.iter().skip(8).all(|allowed| *allowed < 300), "{path:?}");
    }

    #[test]
    fn a_full_line_is_left_alone() {
        let path = settle(100e6);
        assert_eq!(
            path.iter().filter(|allowed| **allowed == 24).count(),
            27,
            "{path:?}"
        );
    }

    #[test]
    fn a_busy_machine_and_a_busy_server_hold_it() {
        let mut climb = Climb::default();
        let busy = Sample {
            is_busy: true,
            ..sample(1e9)
        };
        assert_eq!(climb.next(24, &busy), 24);
        let shed = Sample {
            was_shed: true,
            ..sample(1e9)
        };
        assert_eq!(climb.next(24, &shed), 24);
    }
}
