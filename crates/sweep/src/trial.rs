//! One run, in a process of its own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use retrieve::hooks::FunctionalHook;
use retrieve::profile::{Profile, Profiler, ProfilerHook, Sink as Samples};
use retrieve::{
    DownloadRequest, Entry, Error, ErrorKind, FileMeta, Hooks, Options, Report, Retriever, Source,
};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::matrix::{Configuration, Sink};
use crate::plan;
use crate::series::Series;

/// What one run is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What is retrieved.
    pub addresses: Vec<String>,
    /// How.
    pub configuration: Configuration,
    /// Where a folder is made for files; it is removed at the end.
    pub scratch: PathBuf,
    /// Where the samples are written as JSON Lines.
    pub profile: Option<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// All bytes came.
    Done(Box<Measurement>),
    /// They did not.
    Failed {
        /// Why.
        error: String,
    },
    /// It was ended because it took too long.
    TimedOut,
}

/// The figures of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// From the request to the last byte in the sink.
    pub elapsed_ms: f64,
    /// Wanted bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// From the request to the first byte in the sink.
    pub first_byte_ms: Option<f64>,
    /// CPU seconds of the process in that time, its own code and the system on behalf of it.
    pub cpu_seconds: f64,
    /// The most memory that the process ever had.
    pub peak_rss_bytes: Option<u64>,
    /// Requests sent.
    pub requests: u64,
    /// Attempts that failed and were made again.
    pub retries: u64,
    /// Answers that asked for less.
    pub slow_downs: u64,
    /// Bytes that came and were not needed.
    pub wasted_bytes: u64,
    /// Connections opened.
    pub connections_opened: u64,
    /// The run over time.
    pub series: Series,
}

impl Measurement {
    /// The effective throughput: megabytes (10^6) per second.
    pub fn throughput_mb_per_second(&self) -> f64 {
        if self.elapsed_ms > 0.0 {
            self.bytes as f64 / 1e3 / self.elapsed_ms
        } else {
            0.0
        }
    }

    /// CPU seconds for each 10^9 bytes.
    pub fn cpu_seconds_per_gb(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.cpu_seconds / (self.bytes as f64 / 1e9))
    }
}

/// Does what a trial says, in this process, which should do nothing else. `stores` says how stores are reached, see
/// [`DownloadRequest::options`].
pub(crate) fn perform(trial: &Trial, stores: &[(String, String)]) -> Outcome {
    match measure(trial, stores) {
        Ok(measurement) => Outcome::Done(Box::new(measurement)),
        Err(error) => Outcome::Failed {
            error: error.to_string(),
        },
    }
}

fn measure(trial: &Trial, stores: &[(String, String)]) -> Result<Measurement, Error> {
    let retriever = Retriever::new(options(&trial.configuration))?;
    let request = request(trial, &retriever, stores)?;
    let (profiler, profile) = ProfilerHook::new(Profiler::INTERVAL, samples(trial.profile.as_deref())?);
    let hooks = Hooks::default().stateful(profiler);
    let (cpu, began) = (cpu_time(), Instant::now());
    let drained = drain(trial, &retriever, request, hooks, began)?;
    let (elapsed, cpu) = (began.elapsed(), cpu_time().saturating_sub(cpu));
    complete(&drained.report)?;
    let stats = &drained.report.stats;
    let Profile { samples, .. } = profile.recv().unwrap_or_default();
    Ok(Measurement {
        elapsed_ms: milliseconds(elapsed),
        bytes: stats.bytes,
        files: stats.files_done,
        first_byte_ms: drained.first_byte.map(milliseconds),
        cpu_seconds: cpu.as_secs_f64(),
        peak_rss_bytes: samples.last().and_then(|sample| sample.rss_peak_bytes),
        requests: stats.requests,
        retries: stats.retries,
        slow_downs: stats.slow_downs,
        wasted_bytes: stats.wasted_bytes,
        connections_opened: stats.connections_opened,
        series: Series::of(&samples),
    })
}

fn options(configuration: &Configuration) -> Options {
    let usual = Options::default();
    Options {
        memory_bytes: configuration.memory_bytes,
        chunk_bytes: configuration.chunk_bytes,
        start_connections: configuration.connections,
        max_connections: configuration.connections.unwrap_or(usual.max_connections),
        adaptive: configuration.connections.is_none(),
        resume: false,
        ..usual
    }
}

/// So many files are listed before the clock starts; where there are fewer, they are taken again under other names.
fn request(
    trial: &Trial,
    retriever: &Retriever,
    stores: &[(String, String)],
) -> Result<DownloadRequest, Error> {
    let request = plan::request(&trial.addresses)?.options(stores.iter().cloned());
    let Some(files) = trial.configuration.files else {
        return Ok(request);
    };
    let entries: Vec<Entry> = retriever.list(request).take(files).collect::<Result<_, _>>()?;
    let named = |(number, entry): (usize, &Entry)| {
        Source::Object(Entry {
            name: format!("{number}/{}", entry.name),
            ..entry.clone()
        })
    };
    let sources = entries.iter().cycle().take(files).enumerate().map(named);
    let request = sources.fold(DownloadRequest::default(), DownloadRequest::with);
    Ok(request.options(stores.iter().cloned()))
}

fn samples(path: Option<&Path>) -> Result<Samples, Error> {
    let Some(path) = path else {
        return Ok(Samples::Memory);
    };
    let file = File::create(path).map_err(|error| disk(path, error))?;
    Ok(Samples::MemoryAndLines(Box::new(file)))
}

/// A run whose bytes are all in its sink.
struct Drained {
    report: Arc<Report>,
    first_byte: Option<Duration>,
}

fn drain(
    trial: &Trial,
    retriever: &Retriever,
    request: DownloadRequest,
    hooks: Hooks,
    began: Instant,
) -> Result<Drained, Error> {
    let mut kept = Vec::new();
    match trial.configuration.sink {
        Sink::Null => read(retriever, request, hooks, began, drop),
        Sink::Memory => read(retriever, request, hooks, began, |piece| kept.push(piece)),
        Sink::File => save(&trial.scratch, retriever, request, hooks, began),
    }
}

/// Errors of files are in the report.
fn read(
    retriever: &Retriever,
    request: DownloadRequest,
    hooks: Hooks,
    began: Instant,
    mut sink: impl FnMut(bytes::Bytes),
) -> Result<Drained, Error> {
    let mut files = retriever.read(request, hooks)?;
    let mut first_byte = None;
    for file in files.by_ref().flatten() {
        for piece in file.flatten() {
            first_byte.get_or_insert_with(|| began.elapsed());
            sink(piece);
        }
    }
    Ok(Drained {
        report: futures::executor::block_on(files.report()),
        first_byte,
    })
}

fn save(
    scratch: &Path,
    retriever: &Retriever,
    request: DownloadRequest,
    hooks: Hooks,
    began: Instant,
) -> Result<Drained, Error> {
    fs::create_dir_all(scratch).map_err(|error| disk(scratch, error))?;
    let folder = tempfile::Builder::new().prefix("haul-bench-").tempdir_in(scratch);
    let folder = folder.map_err(|error| disk(scratch, error))?;
    let first_byte = Arc::new(FirstByte {
        began,
        after: OnceLock::new(),
    });
    let hooks = hooks.functional(Arc::clone(&first_byte));
    let report = retriever.save(request, folder.path(), hooks)?.wait();
    Ok(Drained {
        report,
        first_byte: first_byte.after.get().copied(),
    })
}

/// Notes when the first bytes have come, where nobody reads them.
struct FirstByte {
    began: Instant,
    after: OnceLock<Duration>,
}

impl FunctionalHook for FirstByte {
    fn name(&self) -> &str {
        "first byte"
    }

    fn on_bytes(&self, _meta: &FileMeta, _offset: u64, _bytes: &[u8]) -> Result<(), String> {
        self.after.get_or_init(|| self.began.elapsed());
        Ok(())
    }
}

/// A run that is not complete measures nothing.
fn complete(report: &Report) -> Result<(), Error> {
    if report.is_complete() {
        return Ok(());
    }
    let of_run = report.error.clone();
    let of_file = || report.failed.first().map(|(_, error)| error.clone());
    let of_hook = || report.hooks.iter().find_map(|hook| hook.failure.clone());
    let unknown = || {
        Error::new(
            ErrorKind::Hook,
            of_hook().unwrap_or_else(|| "the run is not complete".to_owned()),
        )
    };
    Err(of_run.or_else(of_file).unwrap_or_else(unknown))
}

/// What this process has used so far.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn disk(path: &Path, error: std::io::Error) -> Error {
    let text = format!("{} cannot be written: {error}", path.display());
    Error::new(ErrorKind::Disk, text).caused_by(error)
}
