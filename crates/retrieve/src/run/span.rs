use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::file::File;

/// Work for one connection: a range of one file.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) file: Arc<File>,
    /// Of the object's bytes; open at the end where the size is not known.
    pub(super) range: Range<u64>,
    /// How the bytes are taken.
    pub(super) shape: Shape,
    /// The file may have begun anew since the job was made.
    pub(super) generation: u32,
    /// Failed attempts since the last byte.
    pub(super) failed: u32,
    /// Not to be begun before.
    pub(super) due: Option<Instant>,
    /// The same work is done by another connection: the first one wins.
    pub(super) is_hedge: bool,
    /// What it took of the budget for its bytes.
    pub(super) cost: u64,
    /// The server sends everything on one connection, so its bytes are paid for as they come.
    pub(super) is_open: bool,
}

impl Job {
    /// What is left to do of it after an attempt that came up to the start of `range`.
    pub(super) fn rest(&self, range: Range<u64>, is_open: bool) -> Self {
        let has_begun = self.file.state().started;
        let (range, shape) = match self.shape {
            // A part of a small file is of no use.
            Shape::Whole => (self.range.clone(), Shape::Whole),
            // What the file is was found out.
            Shape::Discovery if has_begun => (range, Shape::Part),
            shape => (range, shape),
        };
        Self {
            range,
            shape,
            is_open,
            ..self.clone()
        }
    }

    /// Whether its file is still the one that it was made for, and wants it.
    pub(super) fn is_wanted(&self) -> bool {
        let state = self.file.state();
        !state.has_ended() && !state.finishing && state.generation == self.generation
    }
}

/// How the bytes of a job are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The first request of a file of which the size or the version is not known.
    Discovery,
    /// The whole file in one buffer.
    Whole,
    /// Piece by piece.
    Part,
}

/// A job in progress: what others may see of it, and take from it.
pub(super) struct Span {
    pub(super) job: Job,
    /// What it takes of the budget until it ends.
    pub(super) buffer_cost: u64,
    pub(super) started: Instant,
    state: Mutex<State>,
    stopped: AtomicBool,
    /// Whether what has come is wanted although it fills no buffer.
    nudged: AtomicBool,
    changed: Notify,
    /// Bytes of the budget that an open job holds and has not used.
    granted: AtomicU64,
    /// Milliseconds from `started` to the head of the answer; 0 where it has not come.
    first_byte_ms: AtomicU64,
}

pub(super) struct State {
    /// The next byte that will be read.
    pub(super) position: u64,
    /// The first byte that is not this job's any more.
    pub(super) end: u64,
    /// When a byte came, or waiting for one began; none while nobody waits for one.
    pub(super) waits_since: Option<Instant>,
    pub(super) hedged: bool,
    /// The server sends everything on this connection: nobody can take a part.
    pub(super) is_open: bool,
    pub(super) why: Stop,
}

/// Why a span was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It was not.
    No,
    /// No byte came.
    Stalled,
    /// Others have done it, or nobody wants it any more.
    Unneeded,
}

impl Span {
    pub(super) fn new(job: Job, buffer_cost: u64) -> Self {
        let now = Instant::now();
        let state = State {
            position: job.range.start,
            end: job.range.end,
            waits_since: Some(now),
            hedged: job.is_hedge,
            is_open: job.is_open,
            why: Stop::No,
        };
        Self {
            job,
            buffer_cost,
            started: now,
            state: Mutex::new(state),
            stopped: AtomicBool::new(false),
            nudged: AtomicBool::new(false),
            changed: Notify::new(),
            granted: AtomicU64::new(0),
            first_byte_ms: AtomicU64::new(0),
        }
    }

    /// What is left of it is not needed.
    pub(super) fn skip_rest(&self) {
        let mut state = self.state();
        state.position = state.end;
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stop(&self, why: Stop) {
        let mut state = self.state();
        if state.why == Stop::No {
            state.why = why;
        }
        drop(state);
        self.stopped.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Sends on what has come, although it fills no buffer.
    pub(super) fn nudge(&self) {
        self.nudged.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Whether there was a nudge since this was asked last.
    pub(super) fn take_nudge(&self) -> bool {
        self.nudged.swap(false, Ordering::AcqRel)
    }

    /// Ends with the next stop or nudge; only the downloader of this span waits for it.
    pub(super) fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends when the span is stopped.
    pub(super) async fn stopped(&self) {
        while !self.is_stopped() {
            self.changed.notified().await;
        }
    }

    /// Waiting for bytes begins: the stall clock goes from here.
    pub(super) fn await_bytes(&self) {
        self.state().waits_since = Some(Instant::now());
    }

    /// What is done now is not the server's fault: the stall clock stands still.
    pub(super) fn is_busy(&self) {
        self.state().waits_since = None;
    }

    pub(super) fn granted(&self) -> u64 {
        self.granted.load(Ordering::Relaxed)
    }

    /// Only the queue grants, under its lock.
    pub(super) fn grant(&self, bytes: u64) {
        self.granted.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes of an open job came; what they take is theirs now.
    pub(super) fn spend(&self, bytes: u64) {
        let spent = bytes.min(self.granted());
        self.granted.fetch_sub(spent, Ordering::Relaxed);
    }

    pub(super) fn head_came(&self) -> Duration {
        let after = self.started.elapsed();
        self.first_byte_ms
            .store(after.as_millis().max(1) as u64, Ordering::Relaxed);
        self.await_bytes();
        after
    }

    pub(super) fn awaits_head(&self) -> bool {
        self.first_byte_ms.load(Ordering::Relaxed) == 0
    }

    /// Bytes per second since the head came.
    pub(super) fn rate(&self, position: u64) -> f64 {
        let head = Duration::from_millis(self.first_byte_ms.load(Ordering::Relaxed));
        let flowing = self.started.elapsed().saturating_sub(head).as_secs_f64();
        position.saturating_sub(self.job.range.start) as f64 / flowing.max(0.001)
    }
}
