//! One run, from its request to its report.
//!
//! ```text
//! FileListGenerator -> FileChunker -> Queue -> ParallelChunkDownloader -> ChunkSequencer | Landing
//!   (generator.rs)     (chunker.rs)            (downloader.rs, fetch.rs)   (sequencer.rs)
//! ```
//!
//! The first two are a task each. A downloader is a task per request in flight that asks the queue for its next job and
//! ends when there is none. The sequencer works in the reader's own thread or task.

mod accept;
mod chunker;
mod controller;
mod counters;
mod declared;
mod downloader;
mod fetch;
mod file;
mod finish;
mod generator;
mod local;
mod pace;
mod queue;
mod receive;
mod save;
mod sequencer;
mod span;
mod stores;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

pub use sequencer::{FileReader, Files};

use crate::buffers::Buffers;
use crate::control::Control;
use crate::entry::FileMeta;
use crate::error::{Error, ErrorKind};
use crate::hooks::{Hooks, Registry, RunStart};
use crate::landing::{Destination, Folder, Place};
use crate::options::Options;
use crate::outcome::{Outcome, Report};
use crate::request::DownloadRequest;
use crate::stats::Stats;
use crate::wire::Pool;
use controller::Controller;
use counters::Counters;
use file::File;
use pace::Pace;
use queue::Queue;
pub(crate) use stores::{OpenStores, Stores};

/// What all runs of a retriever share.
pub(crate) struct Engine {
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) pool: Pool,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) options: Options,
    pub(crate) stores: Arc<OpenStores>,
}

/// Where the bytes go.
pub(crate) struct Delivery {
    /// They are saved there.
    pub(crate) destination: Option<Destination>,
    /// They are handed to a reader.
    pub(crate) is_read: bool,
}

/// A run.
pub(crate) struct Run {
    pub(crate) engine: Arc<Engine>,
    pub(crate) control: Control,
    pub(crate) hooks: Registry,
    counters: Counters,
    queue: Mutex<Queue>,
    stores: Stores,
    folder: Option<Folder>,
    places: Mutex<HashMap<u64, Place>>,
    is_read: bool,
    pace: Pace,
    progress: Mutex<Progress>,
    started: Instant,
    /// There may be room for another file.
    room: tokio::sync::Notify,
    /// For the controller: the run may be complete.
    file_ended: tokio::sync::Notify,
    /// For the controller: no request is in flight.
    idle: tokio::sync::Notify,
    /// Open files of more than one buffer.
    large_open: AtomicUsize,
    /// What retries may be made at once; see `downloader`.
    tokens: AtomicU64,
    jitter: AtomicU64,
    is_over: AtomicBool,
}

/// The files of a run, and its end.
#[derive(Default)]
struct Progress {
    /// Files that have begun and not ended.
    open: HashMap<u64, Arc<File>>,
    /// For the reader: files in the order of delivery that it has not been given.
    unread: std::collections::VecDeque<Arc<File>>,
    /// The figures of what is expected are final.
    all_listed: bool,
    /// Every entry has become a file.
    listing_done: bool,
    error: Option<Error>,
    failed: Vec<(FileMeta, Error)>,
    report: Option<Arc<Report>>,
    waiting: Vec<Waker>,
}

impl Run {
    /// Begins a run on the engine's threads.
    pub(crate) fn start(
        engine: &Arc<Engine>,
        request: DownloadRequest,
        hooks: Hooks,
        delivery: &Delivery,
    ) -> Result<Arc<Self>, Error> {
        let options = &engine.options;
        let folder = delivery.destination.as_ref().map(Folder::open).transpose()?;
        let allowed = options
            .start_connections
            .unwrap_or(controller::START)
            .min(options.max_connections);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let start = RunStart {
            started_unix_ms: now.map_or(0, |now| now.as_millis() as u64),
            sources: request.describe(),
            memory_bytes: options.memory_bytes,
            max_connections: options.max_connections,
        };
        let control = Control::default();
        control.limit_bandwidth(options.max_bytes_per_second);
        let run = Arc::new(Self {
            engine: Arc::clone(engine),
            control,
            hooks: Registry::new(hooks),
            counters: Counters::default(),
            queue: Mutex::new(Queue::new(
                options.memory_bytes,
                allowed.max(1),
                options.max_connections,
                options.hedge,
            )),
            stores: Stores::new(request.options.clone(), &engine.stores),
            folder,
            places: Mutex::default(),
            is_read: delivery.is_read,
            pace: Pace::default(),
            progress: Mutex::default(),
            started: Instant::now(),
            room: tokio::sync::Notify::new(),
            file_ended: tokio::sync::Notify::new(),
            idle: tokio::sync::Notify::new(),
            large_open: AtomicUsize::new(0),
            tokens: AtomicU64::new(downloader::TOKENS),
            jitter: AtomicU64::new(seed(options)),
            is_over: AtomicBool::new(false),
        });
        run.hooks.run_start(&start, &run.control);
        let (entries, listed) = tokio::sync::mpsc::channel(generator::AHEAD);
        engine
            .runtime
            .spawn(generator::generate(Arc::clone(&run), request, entries));
        engine
            .runtime
            .spawn(chunker::open_files(Arc::clone(&run), listed));
        engine.runtime.spawn(Controller::new(Arc::clone(&run)).steer());
        Ok(run)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self) -> &Options {
        &self.engine.options
    }

    fn place(&self, file: &File) -> Option<Place> {
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&file.seq).cloned()
    }

    /// A file may begin; the reader will get it.
    fn open(&self, file: &Arc<File>, place: Option<&Place>) {
        if let Some(place) = place.cloned() {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.insert(file.seq, place);
        }
        let mut progress = self.progress();
        progress.open.insert(file.seq, Arc::clone(file));
        if self.is_read {
            progress.unread.push_back(Arc::clone(file));
        }
        progress.wake();
    }

    /// A file ends, once: what comes later is ignored.
    fn end(self: &Arc<Self>, file: &Arc<File>, outcome: &Outcome) {
        let mut state = file.state();
        if state.has_ended() {
            return;
        }
        state.outcome = Some(outcome.clone());
        let is_done = matches!(outcome, Outcome::Done(_));
        if !is_done {
            state.ready.clear();
        }
        let keep: u64 = state.ready.values().map(|(_, cost)| cost).sum();
        if let Some(landing) = state.landing.take().filter(|_| !is_done) {
            landing.keep();
        }
        let meta = Arc::clone(&state.meta);
        if state.started && !state.is_whole {
            self.large_open.fetch_sub(1, Ordering::Relaxed);
        }
        File::wake(&mut state);
        drop(state);
        let mut queue = self.queue();
        queue.forget(file, keep);
        queue.set_awaited(file, false);
        drop(queue);
        self.counters.ended(outcome);
        self.hooks.file_end(&meta, outcome);
        self.note_end(file, &meta, outcome);
        self.dispatch();
    }

    fn note_end(&self, file: &Arc<File>, meta: &Arc<FileMeta>, outcome: &Outcome) {
        self.places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&file.seq);
        let mut progress = self.progress();
        progress.open.remove(&file.seq);
        if let Outcome::Failed(error) = outcome
            && progress.failed.len() < Report::MAX_FAILED
        {
            progress.failed.push((FileMeta::clone(meta), error.clone()));
        }
        progress.wake();
        drop(progress);
        self.room.notify_one();
        self.file_ended.notify_one();
    }

    /// The listing has ended; the run ends with its last file.
    fn listed(&self) {
        let mut progress = self.progress();
        progress.listing_done = true;
        progress.wake();
        drop(progress);
        self.file_ended.notify_one();
    }

    /// Ends when the run is cancelled.
    async fn cancelled(&self) {
        loop {
            // Begun before the look, so that no notice is missed.
            let changed = self.control.changed().notified();
            if self.control.is_cancelled() {
                return;
            }
            changed.await;
        }
    }

    /// Ends whatever has not ended, because the run was cancelled.
    fn end_all(self: &Arc<Self>) {
        let open: Vec<_> = self.progress().open.values().cloned().collect();
        for file in open {
            self.end(&file, &Outcome::Cancelled);
        }
        let unread = std::mem::take(&mut self.progress().unread);
        for file in unread {
            self.forget_unread(&file);
        }
    }

    /// Nobody will read what is there of a file that has ended.
    fn forget_unread(&self, file: &File) {
        file.state().ready.clear();
        let mut queue = self.queue();
        let held = file.held();
        queue.release(file, held);
        queue.set_awaited(file, false);
    }

    /// Whether every file has ended and no more come.
    fn is_complete(&self) -> bool {
        let progress = self.progress();
        progress.listing_done && progress.open.is_empty()
    }

    /// Makes the report; only the controller calls it, once.
    fn close(&self) {
        self.queue().closed = true;
        let mut progress = self.progress();
        let mut report = Report {
            elapsed: self.started.elapsed(),
            error: progress.error.clone(),
            failed: std::mem::take(&mut progress.failed),
            ..Report::default()
        };
        drop(progress);
        if self.control.is_cancelled() && report.error.is_none() {
            report.error = Some(Error::new(ErrorKind::Cancelled, "cancelled"));
        }
        report.stats = self.stats();
        self.hooks.run_end(&mut report);
        self.is_over.store(true, Ordering::Release);
        let mut progress = self.progress();
        progress.report = Some(Arc::new(report));
        progress.wake();
    }

    /// The report, once the run has ended.
    pub(crate) async fn finished(&self) -> Arc<Report> {
        std::future::poll_fn(|cx| {
            let mut progress = self.progress();
            match &progress.report {
                Some(report) => std::task::Poll::Ready(Arc::clone(report)),
                None => {
                    progress.wake_later(cx.waker());
                    std::task::Poll::Pending
                }
            }
        })
        .await
    }

    /// The figures of this moment.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.stats();
        let queue = self.queue();
        stats.connections = queue.active as u64;
        stats.connections_allowed = queue.allowed as u64;
        stats.window_bytes = queue.reserved;
        stats.splits = queue.splits;
        stats.hedges = queue.hedges;
        stats.requests = queue.requests;
        drop(queue);
        let progress = self.progress();
        stats.files_open = progress.open.len() as u64;
        stats.listing_done = progress.all_listed;
        drop(progress);
        stats.elapsed_ms = self.started.elapsed().as_millis() as u64;
        stats.connections_opened = self.engine.pool.opened();
        stats.events_dropped = self.hooks.events_dropped();
        stats
    }
}

fn seed(options: &Options) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    match options.seed {
        0 => RandomState::new().hash_one(0),
        seed => seed,
    }
}

impl Progress {
    fn wake_later(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
    }

    fn wake(&mut self) {
        for waker in self.waiting.drain(..) {
            waker.wake();
        }
    }
}
