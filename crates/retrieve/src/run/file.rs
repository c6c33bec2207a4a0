use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;

use super::span::{Job, Shape};
use crate::checksum::Ranges;
use crate::entry::{Declared, Entry, FileMeta};
use crate::error::Error;
use crate::hooks::{Ordered, Plan};
use crate::landing::Landing;
use crate::outcome::Outcome;
use crate::store::Store;

/// What the first request of an unknown file asks for.
const FIRST_BYTES: u64 = 4 << 20;

/// What a listing lets expect of an entry.
pub(super) fn listed_bytes(entry: &Entry) -> u64 {
    let size = entry.size.unwrap_or(0);
    match &entry.range {
        Some(range) => range.end.min(size).saturating_sub(range.start),
        None => size,
    }
}

/// One file of a run.
pub(super) struct File {
    /// Its place in the order of delivery.
    pub(super) seq: u64,
    pub(super) entry: Entry,
    state: Mutex<State>,
    /// Bytes of the budget that it holds.
    held: AtomicU64,
    /// Bytes that the run's figures expect of it.
    expected: AtomicU64,
    /// Whether its pieces wait for a reader or an ordered hook.
    is_streamed: AtomicBool,
}

/// What is known of a file and what has come of it. Everything about positions is in bytes of the object.
pub(super) struct State {
    pub(super) meta: Arc<FileMeta>,
    /// Where requests go; another place after a redirect.
    pub(super) store: Arc<Store>,
    pub(super) target: String,
    pub(super) redirects: u32,
    /// Whether `meta` is what the file began with.
    pub(super) started: bool,
    /// The first byte that no job has.
    pub(super) next: u64,
    pub(super) plan: Plan,
    /// No range is longer, whatever the plan: what waits for a reader must fit the budget.
    pub(super) longest: u64,
    /// Whether it fits one buffer and is taken at once.
    pub(super) is_whole: bool,
    /// What an earlier run has left, sorted.
    pub(super) skip: Vec<Range<u64>>,
    /// Wanted bytes that came.
    pub(super) arrived: u64,
    pub(super) resumed: u64,
    pub(super) crcs: Option<Ranges>,
    pub(super) landing: Option<Arc<Landing>>,
    /// Pieces that wait for the reader, and what each takes of the budget.
    pub(super) ready: BTreeMap<u64, (Bytes, u64)>,
    /// The next byte for the reader.
    pub(super) position: u64,
    pub(super) reader: Option<Waker>,
    pub(super) outcome: Option<Outcome>,
    /// Whether its last bytes are there and it is being finished.
    pub(super) finishing: bool,
    /// Grows when the file begins anew; what older jobs bring is dropped.
    pub(super) generation: u32,
    /// Why nobody could say what checksum the server declares.
    pub(super) untold: Option<Error>,
    /// How often it has begun anew.
    pub(super) restarts: u32,
    /// What replaces its bytes, until its reader takes it.
    pub(super) ordered: Option<Ordered>,
    pub(super) is_transformed: bool,
    /// Whether all bytes of a transformed file are there: whoever reads it to its end finishes it.
    pub(super) is_left_to_reader: bool,
    /// Closes when it is known what checksum the server declares, where it was asked.
    pub(super) checksum: Option<tokio::sync::watch::Receiver<()>>,
}

impl File {
    pub(super) fn new(seq: u64, entry: Entry, store: Arc<Store>, is_streamed: bool, longest: u64) -> Self {
        let range = entry.range.clone().unwrap_or(0..entry.size.unwrap_or(u64::MAX));
        let meta = FileMeta {
            index: seq,
            location: entry.location.clone(),
            name: entry.name.clone(),
            size: entry.size,
            range: range.clone(),
            etag: entry.etag.clone(),
            last_modified: entry.last_modified,
            checksum: None,
        };
        let expected = listed_bytes(&entry);
        let state = State {
            meta: Arc::new(meta),
            target: store.target(entry.location.key()),
            store,
            redirects: 0,
            started: false,
            next: range.start,
            plan: Plan::Every(FIRST_BYTES),
            longest,
            is_whole: false,
            skip: Vec::new(),
            arrived: 0,
            resumed: 0,
            crcs: None,
            landing: None,
            ready: BTreeMap::new(),
            position: range.start,
            reader: None,
            outcome: None,
            finishing: false,
            generation: 0,
            untold: None,
            restarts: 0,
            ordered: None,
            is_transformed: false,
            is_left_to_reader: false,
            checksum: None,
        };
        Self {
            seq,
            entry,
            state: Mutex::new(state),
            held: AtomicU64::new(0),
            expected: AtomicU64::new(expected),
            is_streamed: AtomicBool::new(is_streamed),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is expected of it, and says what it was.
    pub(super) fn expect(&self, bytes: u64) -> u64 {
        self.expected.swap(bytes, Ordering::Relaxed)
    }

    pub(super) fn meta(&self) -> Arc<FileMeta> {
        Arc::clone(&self.state().meta)
    }

    pub(super) fn is_streamed(&self) -> bool {
        self.is_streamed.load(Ordering::Relaxed)
    }

    pub(super) fn stream(&self) {
        self.is_streamed.store(true, Ordering::Relaxed);
    }

    pub(super) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Only the queue calls these two, under its lock.
    pub(super) fn hold(&self, bytes: u64) {
        self.held.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says how much was held of what is let go.
    pub(super) fn let_go(&self, bytes: u64) -> u64 {
        let held = self.held();
        let bytes = bytes.min(held);
        self.held.store(held - bytes, Ordering::Relaxed);
        bytes
    }

    /// The next range that no job has.
    pub(super) fn plan_next(self: &Arc<Self>) -> Option<Job> {
        let mut state = self.state();
        let (range, shape) = state.next_range()?;
        state.next = range.end;
        Some(Job {
            file: Arc::clone(self),
            range,
            shape,
            generation: state.generation,
            failed: 0,
            due: None,
            is_hedge: false,
            cost: 0,
            is_open: false,
        })
    }

    /// What the next job would be, without taking it.
    pub(super) fn peek_next(&self) -> Option<(Range<u64>, Shape)> {
        self.state().next_range()
    }

    /// Sends the reader to look again.
    pub(super) fn wake(state: &mut State) {
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }
}

impl State {
    pub(super) fn has_ended(&self) -> bool {
        self.outcome.is_some()
    }

    /// What is asked for, and where.
    pub(super) fn address(&self) -> (Arc<FileMeta>, Arc<Store>, String) {
        (
            Arc::clone(&self.meta),
            Arc::clone(&self.store),
            self.target.clone(),
        )
    }

    /// Wanted bytes in all; none where the size is not known.
    pub(super) fn wanted(&self) -> Option<u64> {
        self.meta.wanted()
    }

    pub(super) fn is_complete(&self) -> bool {
        // Of an object of unknown size a range may be wanted.
        let range = &self.meta.range;
        let wanted = self
            .wanted()
            .or((range.end < u64::MAX).then_some(range.end - range.start));
        self.started && wanted == Some(self.arrived)
    }

    /// The server declares a checksum.
    pub(super) fn learn(&mut self, declared: Option<Declared>) {
        let Some(declared) = declared.filter(|_| self.meta.checksum.is_none()) else {
            return;
        };
        Arc::make_mut(&mut self.meta).checksum = Some(declared);
    }

    fn next_range(&self) -> Option<(Range<u64>, Shape)> {
        if self.has_ended() {
            return None;
        }
        let end = self.meta.range.end;
        if !self.started {
            // One request until it is known what the file is.
            let first = self.meta.range.start;
            let range = first..self.cut(first, end);
            return (self.next == first).then_some((range, Shape::Discovery));
        }
        if self.is_whole {
            let rest = self.next..end;
            return (!rest.is_empty()).then_some((rest, Shape::Whole));
        }
        let mut from = self.next;
        for have in &self.skip {
            match have.contains(&from) {
                true => from = have.end,
                false if have.start > from => break,
                false => {}
            }
        }
        if from >= end {
            return None;
        }
        let gap_end = self
            .skip
            .iter()
            .map(|have| have.start)
            .find(|start| *start > from);
        let cut = self.cut(from, end).min(gap_end.unwrap_or(end));
        Some((from..cut, Shape::Part))
    }

    fn cut(&self, from: u64, end: u64) -> u64 {
        let cut = match &self.plan {
            // Aligned to the object, so that ranges of different runs are the same.
            Plan::Every(bytes) => (from / bytes.max(&1)).saturating_add(1).saturating_mul(*bytes),
            Plan::Cuts(cuts) => cuts.iter().copied().find(|cut| *cut > from).unwrap_or(end),
        };
        let most = end
            .min(from.saturating_add(self.longest))
            .max(from.saturating_add(1));
        cut.clamp(from.saturating_add(1), most)
    }

    /// Forgets what came and what the object was; the next request finds out anew.
    pub(super) fn begin_anew(&mut self, entry: &Entry) {
        self.generation += 1;
        self.restarts += 1;
        self.untold = None;
        self.started = false;
        self.finishing = false;
        self.is_whole = false;
        let range = entry.range.clone().unwrap_or(0..u64::MAX);
        let meta = Arc::make_mut(&mut self.meta);
        meta.size = None;
        meta.etag = None;
        meta.last_modified = None;
        meta.checksum = None;
        meta.range = range.clone();
        self.next = range.start;
        self.position = range.start;
        self.skip.clear();
        self.arrived = 0;
        self.resumed = 0;
        self.plan = Plan::Every(FIRST_BYTES);
        self.ready.clear();
        self.checksum = None;
        if let Some(landing) = self.landing.take() {
            landing.discard();
        }
    }

    /// Puts a piece where the reader will find it.
    pub(super) fn deliver(&mut self, offset: u64, bytes: Bytes, cost: u64) {
        self.ready.insert(offset, (bytes, cost));
        if offset == self.position {
            File::wake(self);
        }
    }
}
