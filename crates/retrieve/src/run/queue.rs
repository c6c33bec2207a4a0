use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::file::File;
use super::span::{Job, Shape, Span, Stop};
use crate::buffers::{PIECE_BYTES, cost_of};

/// Who may work on what: the only place where jobs begin. One lock guards it; nothing in it waits.
pub(super) struct Queue {
    /// Open files with something left to plan, in the order of delivery.
    unplanned: BTreeMap<u64, Arc<File>>,
    /// Ranges that came back, or were cut off, by file and first byte. They hold their part of the budget.
    returned: BTreeMap<(u64, u64), Job>,
    /// Jobs in progress.
    pub(super) spans: HashMap<u64, Arc<Span>>,
    next_span: u64,
    /// Requests in flight.
    pub(super) active: usize,
    /// Requests that may be in flight.
    pub(super) allowed: usize,
    max_allowed: usize,
    /// The budget, and what of it is in use.
    pub(super) memory: u64,
    pub(super) reserved: u64,
    /// Files whose readers wait for a byte.
    awaited: BTreeSet<u64>,
    /// Open jobs that wait for their share of the budget; they count as no request in flight.
    parked: usize,
    pub(super) paused: bool,
    pub(super) closed: bool,
    pub(super) hedging: bool,
    /// Whether more connections would bring nothing.
    pub(super) is_saturated: bool,
    /// Whether too much came for nothing already.
    pub(super) is_wasteful: bool,
    /// The median rate of the connections that bring something, in bytes per second.
    typical_rate: f64,
    pub(super) splits: u64,
    pub(super) hedges: u64,
    pub(super) requests: u64,
    latency: Latency,
    pub(super) shed_at: Option<Instant>,
}

/// So many requests for small files go for one of a large file.
const SMALL: usize = 5;

/// A connection that is so many times slower than the usual one lags behind.
const LAGGING: f64 = 3.0;

/// Below so many bytes a range is not split but taken over.
const MIN_SPLIT: u64 = 1 << 20;

/// An open job takes so much of the budget at a time.
const OPEN_SHARE: u64 = 1 << 20;

impl Queue {
    pub(super) fn new(memory: u64, allowed: usize, max_allowed: usize, hedging: bool) -> Self {
        Self {
            unplanned: BTreeMap::new(),
            returned: BTreeMap::new(),
            spans: HashMap::new(),
            next_span: 0,
            active: 0,
            allowed,
            max_allowed,
            memory,
            reserved: 0,
            awaited: BTreeSet::new(),
            parked: 0,
            paused: false,
            closed: false,
            hedging,
            is_saturated: false,
            is_wasteful: false,
            typical_rate: 0.0,
            splits: 0,
            hedges: 0,
            requests: 0,
            latency: Latency::default(),
            shed_at: None,
        }
    }

    /// A file has something to plan.
    pub(super) fn offer(&mut self, file: &Arc<File>) {
        if file.peek_next().is_some() {
            self.unplanned.insert(file.seq, Arc::clone(file));
        }
    }

    /// Files that nothing was planned of yet.
    pub(super) fn waiting_files(&self) -> usize {
        self.unplanned.len()
    }

    /// A range has to be fetched again, or by somebody else.
    pub(super) fn give_back(&mut self, job: Job) {
        if !job.is_wanted() {
            return;
        }
        self.returned.insert((job.file.seq, job.range.start), job);
    }

    /// Drops everything about a file, and what it holds of the budget except `keep` bytes that its reader still gets.
    pub(super) fn forget(&mut self, file: &File, keep: u64) {
        self.unplanned.remove(&file.seq);
        self.returned.retain(|(seq, _), _| *seq != file.seq);
        for span in self.spans.values().filter(|span| span.job.file.seq == file.seq) {
            span.stop(Stop::Unneeded);
        }
        let surplus = file.held().saturating_sub(keep);
        self.release(file, surplus);
    }

    pub(super) fn release(&mut self, file: &File, bytes: u64) {
        self.reserved -= file.let_go(bytes).min(self.reserved);
    }

    pub(super) fn hold(&mut self, file: &File, bytes: u64) {
        file.hold(bytes);
        self.reserved += bytes;
    }

    /// The reader of a file waits, or does not any more.
    pub(super) fn set_awaited(&mut self, file: &File, is_awaited: bool) {
        match is_awaited {
            true => self.awaited.insert(file.seq),
            false => self.awaited.remove(&file.seq),
        };
    }

    /// A discovery took as much as its file might need; now it is known how much that is.
    pub(super) fn settle(&mut self, file: &File, taken: u64, needed: u64) {
        self.release(file, taken);
        if !file.state().has_ended() {
            self.hold(file, needed);
        }
    }

    /// A share of the budget for an open job; false where there is none now.
    pub(super) fn extend(&mut self, span: &Span) -> bool {
        let share = OPEN_SHARE.min(self.memory / 4);
        if !self.may_hold(&span.job.file, share) && !self.is_head(span) {
            return false;
        }
        self.hold(&span.job.file, share);
        span.grant(share);
        true
    }

    /// Whether a reader waits for the very bytes that an open job brings next. What else the file holds, a rest of the last
    /// share or pieces from further on, does not help that reader, so it does not count.
    fn is_head(&self, span: &Span) -> bool {
        let file = &span.job.file;
        let state = file.state();
        let awaited = state.position;
        // It may not have noticed yet what has come for it.
        let has_some = state.ready.contains_key(&awaited);
        drop(state);
        let is_awaited = self.awaited.contains(&file.seq) && !has_some;
        is_awaited && span.job.range.start <= awaited && awaited <= span.state().position
    }

    /// An open job begins or ends to wait for its share. Meanwhile others may use its place.
    pub(super) fn park(&mut self, is_parked: bool) {
        match is_parked {
            true => {
                self.parked += 1;
                self.active -= 1;
            }
            false => {
                self.parked -= 1;
                self.active += 1;
            }
        }
    }

    /// Has those look again that wait for a share.
    pub(super) fn nudge_parked(&self) {
        if self.parked > 0 {
            let open = self.spans.values().filter(|span| span.state().is_open);
            open.for_each(|span| span.nudge());
        }
    }

    /// Whether more of the budget may be used. A file whose reader waits and that holds nothing always gets some, so a
    /// reader never waits for bytes that nobody may fetch.
    fn may_hold(&self, file: &File, bytes: u64) -> bool {
        let fits = self.reserved + bytes <= self.memory;
        let is_head = self.awaited.contains(&file.seq) && file.held() == 0;
        fits || is_head || self.reserved == 0
    }

    /// The next job, in the order of delivery, where connections and budget allow one.
    pub(super) fn pick(&mut self, now: Instant) -> Option<Arc<Span>> {
        if self.closed || self.paused || self.active >= self.most() {
            return None;
        }
        let job = self.next_job(now).or_else(|| self.take_part(now))?;
        let buffer_cost = match job.file.is_streamed() {
            true => 0,
            false => self.cost(&job.file, job.range.end - job.range.start, job.shape),
        };
        self.hold(&job.file, buffer_cost);
        let span = Arc::new(Span::new(job, buffer_cost));
        self.active += 1;
        self.requests += 1;
        self.spans.insert(self.next_span, Arc::clone(&span));
        self.next_span += 1;
        Some(span)
    }

    /// Requests that may be in flight now. Small files wait for the server most of the time, so more of them go at once.
    fn most(&self) -> usize {
        let is_small = self
            .unplanned
            .values()
            .next()
            .is_some_and(|file| file.state().is_whole);
        match is_small {
            true => (self.allowed * SMALL).min(self.max_allowed),
            false => self.allowed,
        }
    }

    /// A job has ended, however it did.
    pub(super) fn done(&mut self, span: &Arc<Span>) {
        self.active -= 1;
        self.spans.retain(|_, running| !Arc::ptr_eq(running, span));
        self.release(&span.job.file, span.buffer_cost + span.granted());
    }

    fn next_job(&mut self, now: Instant) -> Option<Job> {
        let mut due = self
            .returned
            .iter()
            .filter(|(_, job)| job.due.is_none_or(|due| due <= now));
        let returned = due.next().map(|(key, _)| *key);
        let planned = self.next_planned();
        let first = match (returned, &planned) {
            (Some((seq, _)), Some((file, _))) if file.seq < seq => None,
            (returned, _) => returned,
        };
        if let Some(job) = first.and_then(|key| self.returned.remove(&key)) {
            return Some(job);
        }
        let (file, cost) = planned?;
        let mut job = file.plan_next()?;
        if file.is_streamed() {
            self.hold(&file, cost);
            job.cost = cost;
        }
        if file.peek_next().is_none() {
            self.unplanned.remove(&file.seq);
        }
        Some(job)
    }

    /// The file whose next range may begin, and what it takes of the budget: one that is waited for, or the first.
    fn next_planned(&mut self) -> Option<(Arc<File>, u64)> {
        loop {
            let mut awaited = self.awaited.iter().filter_map(|seq| self.unplanned.get(seq));
            let starving = awaited.find(|file| file.held() == 0);
            let file = Arc::clone(starving.or_else(|| self.unplanned.values().next())?);
            let Some((range, shape)) = file.peek_next() else {
                self.unplanned.remove(&file.seq);
                continue;
            };
            let cost = self.cost(&file, range.end - range.start, shape);
            return self.may_hold(&file, cost).then_some((file, cost));
        }
    }

    /// What a range takes of the budget: its length where pieces wait for a reader, otherwise one buffer.
    fn cost(&self, file: &File, length: u64, shape: Shape) -> u64 {
        match shape {
            Shape::Whole => cost_of(usize::try_from(length).unwrap_or(usize::MAX)),
            _ if file.is_streamed() => length.min(self.memory / 2),
            _ => PIECE_BYTES as u64,
        }
    }

    /// A free connection takes a part of what is slow, or repeats a small request that is late.
    fn take_part(&mut self, now: Instant) -> Option<Job> {
        if !self.hedging {
            return None;
        }
        let patience = self.latency.patience();
        let slowest = self
            .spans
            .values()
            .filter_map(|span| Some((self.slowness(span, now, patience)?, span)))
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        let span = Arc::clone(slowest?.1);
        match span.job.shape {
            Shape::Whole | Shape::Discovery => self.hedge(&span),
            Shape::Part => self.split(&span, patience),
        }
    }

    /// For how many seconds a span will still take, where that is worth a second connection.
    fn slowness(&self, span: &Span, now: Instant, patience: Duration) -> Option<f64> {
        let state = span.state();
        if state.hedged || state.is_open || state.why != Stop::No || state.end <= state.position {
            return None;
        }
        let waited = now.saturating_duration_since(span.started);
        if span.awaits_head() || span.job.shape == Shape::Whole {
            let may_hedge = self.hedges * 20 < self.requests + 40;
            return (waited > patience && may_hedge).then_some(waited.as_secs_f64());
        }
        if span.job.shape == Shape::Discovery {
            return None;
        }
        let rate = span.rate(state.position);
        // Where the line or this machine is full, another connection only helps what is slower than the others.
        let is_behind = rate * LAGGING < self.typical_rate;
        let helps = is_behind || (!self.is_saturated && !self.is_wasteful);
        let remaining = (state.end - state.position) as f64 / rate.max(1.0);
        (helps && waited > patience && remaining > 2.0 * patience.as_secs_f64()).then_some(remaining)
    }

    fn hedge(&mut self, span: &Span) -> Option<Job> {
        // Two discoveries could decide differently what the file is.
        if span.job.shape == Shape::Discovery {
            return None;
        }
        span.state().hedged = true;
        self.hedges += 1;
        let job = Job {
            is_hedge: true,
            ..span.job.clone()
        };
        Some(job)
    }

    /// Half of what remains; all of it where little remains, nothing has come, or what comes is too slow to help.
    fn split(&mut self, span: &Span, patience: Duration) -> Option<Job> {
        let mut state = span.state();
        let remaining = state.end - state.position;
        let seconds = remaining as f64 / span.rate(state.position).max(1.0);
        let hopeless = span.awaits_head() || seconds > 40.0 * patience.as_secs_f64();
        let cut = match hopeless || remaining < MIN_SPLIT {
            true => state.position,
            false => state.position + remaining / 2,
        };
        let job = Job {
            range: cut..state.end,
            failed: 0,
            due: None,
            cost: 0,
            ..span.job.clone()
        };
        state.end = cut;
        let takes_over = cut == state.position;
        drop(state);
        if takes_over {
            self.hedges += 1;
            span.stop(Stop::Unneeded);
        }
        self.splits += 1;
        Some(job)
    }

    /// Measures what is usual, to tell who is slow.
    pub(super) fn survey(&mut self) {
        let rate = |span: &Arc<Span>| (!span.awaits_head()).then(|| span.rate(span.state().position));
        let mut rates: Vec<f64> = self.spans.values().filter_map(rate).collect();
        rates.sort_unstable_by(f64::total_cmp);
        // Of one or two there is no usual one.
        if rates.len() > 2 {
            self.typical_rate = rates.get(rates.len() / 2).copied().unwrap_or_default();
        }
    }

    /// The head of an answer came after this time.
    pub(super) fn head_came(&mut self, after: Duration) {
        self.latency.add(after);
    }

    /// The server is busy: fewer requests at a time, at most one step in half a second.
    pub(super) fn shed(&mut self, now: Instant) {
        if self
            .shed_at
            .is_none_or(|at| now.duration_since(at) > Duration::from_millis(500))
        {
            self.allowed = (self.allowed * 7 / 10).max(1);
            self.shed_at = Some(now);
        }
    }
}

/// Times to the first byte, the last few of them.
#[derive(Default)]
struct Latency {
    last: Vec<Duration>,
    next: usize,
}

impl Latency {
    const KEPT: usize = 64;

    fn add(&mut self, after: Duration) {
        match self.last.get_mut(self.next) {
            Some(slot) => *slot = after,
            None => self.last.push(after),
        }
        self.next = (self.next + 1) % Self::KEPT;
    }

    /// Who waits longer than this is late: three times the median, at least 100 ms; a second until something is known.
    fn patience(&self) -> Duration {
        if self.last.len() < 8 {
            return Duration::from_secs(1);
        }
        let mut sorted = self.last.clone();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        (median * 3).max(Duration::from_millis(100))
    }
}
