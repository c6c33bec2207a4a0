//! Where the time goes: machine, process and run, sampled side by side.
//!
//! A [`Profiler`] reads Linux's `/proc` and a source of [`Stats`] on a thread of its own, every 100 ms as a rule, and
//! gives each [`Sample`] to a [`Sink`]: memory, JSON Lines (`docs/events.md`) or both. Its [`Profile`] ends with a
//! [`Summary`]. [`ProfilerHook`] does this for a run. What a system does not tell is null, never 0.

mod hook;
mod machine;
mod sample;
mod summary;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;

pub use self::hook::ProfilerHook;
use self::machine::Reading;
pub use self::sample::Sample;
pub use self::summary::Summary;
use crate::stats::Stats;

/// Reads machine and run at an interval, until it is stopped. Dropping it stops it, too, without a summary.
#[derive(Debug)]
pub struct Profiler {
    stop: Sender<()>,
    thread: JoinHandle<Profile>,
}

/// Where samples go.
pub enum Sink {
    /// They are kept, at most [`Profile::MAX_SAMPLES`].
    Memory,
    /// They are written as JSON Lines.
    Lines(Box<dyn Write + Send>),
    /// Both.
    MemoryAndLines(Box<dyn Write + Send>),
}

/// What a profiler has seen.
#[derive(Debug, Default)]
pub struct Profile {
    /// The samples, where they were to be kept. Of a run that has more than [`Profile::MAX_SAMPLES`] only every second
    /// one is here, then every fourth, and so on.
    pub samples: Vec<Sample>,
    /// The run in a few figures, of all samples.
    pub summary: Summary,
    /// Why lines are missing.
    pub failure: Option<String>,
}

impl Profile {
    /// The version of the lines.
    pub const VERSION: u32 = 1;
    /// Samples that are kept: an hour at 100 ms, some 10 MB.
    pub const MAX_SAMPLES: usize = 36_000;
}

impl Profiler {
    /// The interval that most runs want.
    pub const INTERVAL: Duration = Duration::from_millis(100);
    /// The shortest interval; the system counts CPU time in steps of 10 ms.
    pub const MIN_INTERVAL: Duration = Duration::from_millis(10);

    /// Starts to sample. `source` gives the figures of the run and is called once for each sample.
    ///
    /// # Errors
    ///
    /// That of the system when it gives no thread.
    pub fn start(
        interval: Duration,
        source: impl FnMut() -> Stats + Send + 'static,
        sink: Sink,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let interval = interval.max(Self::MIN_INTERVAL);
        let recorder = Recorder::new(sink);
        let thread = thread::Builder::new()
            .name("profiler".to_owned())
            .spawn(move || recorder.run(interval, source, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Takes a last sample and ends.
    pub fn stop(self) -> Profile {
        // The thread listens until it is told to stop, so it can only have panicked, which the next line tells.
        let _ = self.stop.send(());
        self.thread.join().unwrap_or_else(|_| Profile {
            failure: Some("the profiler panicked".to_owned()),
            ..Profile::default()
        })
    }
}

/// The profiler on its thread.
struct Recorder {
    out: Option<BufWriter<Box<dyn Write + Send>>>,
    keeps: bool,
    /// Every so many samples are kept.
    stride: usize,
    seen: usize,
    profile: Profile,
}

#[derive(Serialize)]
#[serde(tag = "profile", rename_all = "snake_case")]
enum Line<'a> {
    Start {
        version: u32,
        interval_ms: u64,
        cores: Option<usize>,
    },
    Sample(&'a Sample),
    Summary(&'a Summary),
}

impl Recorder {
    fn new(sink: Sink) -> Self {
        let (out, keeps) = match sink {
            Sink::Memory => (None, true),
            Sink::Lines(out) => (Some(out), false),
            Sink::MemoryAndLines(out) => (Some(out), true),
        };
        Self {
            out: out.map(BufWriter::new),
            keeps,
            stride: 1,
            seen: 0,
            profile: Profile::default(),
        }
    }

    fn run(
        mut self,
        interval: Duration,
        mut source: impl FnMut() -> Stats,
        stopped: &Receiver<()>,
    ) -> Profile {
        let began = Instant::now();
        let first = Reading::take();
        self.write(&Line::Start {
            version: Profile::VERSION,
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
            cores: first.cores.as_ref().map(Vec::len),
        });
        let (mut before, mut before_at) = (first.clone(), Duration::ZERO);
        let mut told_to_stop = Err(RecvTimeoutError::Timeout);
        while told_to_stop == Err(RecvTimeoutError::Timeout) {
            let next = (before_at + interval).saturating_sub(began.elapsed());
            told_to_stop = stopped.recv_timeout(next);
            let (now, at) = (Reading::take(), began.elapsed());
            self.record(Sample::between(&before, before_at, &now, at, &source()));
            (before, before_at) = (now, at);
        }
        self.profile.summary.close(&first, &before);
        self.finish()
    }

    fn record(&mut self, sample: Sample) {
        self.write(&Line::Sample(&sample));
        self.profile.summary.add(&sample);
        if self.keeps && self.seen.is_multiple_of(self.stride) {
            self.profile.samples.push(sample);
        }
        self.seen += 1;
        if self.profile.samples.len() >= Profile::MAX_SAMPLES {
            self.thin_out();
        }
    }

    /// Keeps every second sample of those that are kept.
    fn thin_out(&mut self) {
        let mut kept = false;
        self.profile.samples.retain(|_| {
            kept = !kept;
            kept
        });
        self.stride *= 2;
    }

    /// The first failure ends the lines.
    fn write(&mut self, line: &Line<'_>) {
        let Some(out) = &mut self.out else { return };
        let written = serde_json::to_writer(&mut *out, line).map_err(io::Error::from);
        self.keep_failure(|out| written.and_then(|()| out.write_all(b"\n")));
    }

    fn keep_failure(&mut self, write: impl FnOnce(&mut BufWriter<Box<dyn Write + Send>>) -> io::Result<()>) {
        let Some(out) = &mut self.out else { return };
        if let Err(error) = write(out) {
            self.out = None;
            self.profile.failure = Some(format!("the profile is not whole: {error}"));
        }
    }

    fn finish(mut self) -> Profile {
        let summary = self.profile.summary.clone();
        self.write(&Line::Summary(&summary));
        self.keep_failure(BufWriter::flush);
        self.profile
    }
}
