use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Profile, Profiler, Sink};
use crate::control::Control;
use crate::hooks::{RunStart, StatefulHook};
use crate::outcome::Report;
use crate::stats::Stats;

/// Profiles a run from its start to its end.
pub struct ProfilerHook {
    interval: Duration,
    /// None once the run has begun.
    sink: Option<Sink>,
    latest: Arc<Mutex<Stats>>,
    profiler: Option<Profiler>,
    done: Sender<Profile>,
}

impl ProfilerHook {
    /// Samples at `interval` into `sink`; the profile comes out of the receiver when the run has ended.
    pub fn new(interval: Duration, sink: Sink) -> (Self, Receiver<Profile>) {
        let (done, profile) = mpsc::channel();
        let hook = Self {
            interval,
            sink: Some(sink),
            latest: Arc::default(),
            profiler: None,
            done,
        };
        (hook, profile)
    }

    fn update(&self, stats: &Stats) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        latest.clone_from(stats);
    }
}

impl StatefulHook for ProfilerHook {
    fn name(&self) -> &str {
        "profiler"
    }

    fn on_run_start(&mut self, _start: &RunStart, _control: &Control) {
        let latest = Arc::clone(&self.latest);
        let source = move || latest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(sink) = self.sink.take() {
            self.profiler = Profiler::start(self.interval, source, sink).ok();
        }
    }

    fn on_tick(&mut self, stats: &Stats, _control: &Control) {
        self.update(stats);
    }

    fn on_run_end(&mut self, report: &Report) -> Result<(), String> {
        self.update(&report.stats);
        let profiler = self
            .profiler
            .take()
            .ok_or("there was no thread for the profiler")?;
        let profile = profiler.stop();
        let failure = profile.failure.clone();
        // Nobody has to want the profile.
        let _ = self.done.send(profile);
        failure.map_or(Ok(()), Err)
    }
}
