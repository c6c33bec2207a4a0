use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Run;
use super::fetch::Ended;
use super::file::File;
use super::span::{Job, Span, Stop};
use crate::answer::{Failure, Remedy};
use crate::error::{Error, ErrorKind};
use crate::hooks::{Attempt, Verdict};
use crate::options::OnChange;
use crate::outcome::Outcome;

/// Retries that a run may make in a burst. Each takes one, each range that comes gives one back; a run without any
/// retries as slowly as it may, so that a server in trouble is not kept there.
pub(super) const TOKENS: u64 = 500;
/// A busy server is asked so much more often than a broken one.
const BUSY_ATTEMPTS: u32 = 4;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A file begins anew so often at most.
const RESTARTS: u32 = 3;

impl Run {
    /// Starts a `ParallelChunkDownloader` for each job that may begin now.
    pub(super) fn dispatch(self: &Arc<Self>) {
        loop {
            let Some(span) = self.queue().pick(Instant::now()) else {
                break;
            };
            self.engine.runtime.spawn(work(Arc::clone(self), span));
        }
        self.queue().nudge_parked();
        self.room.notify_one();
    }

    async fn attempt(self: &Arc<Self>, span: &Arc<Span>) {
        let ended = self.fetch(span).await;
        let state = span.state();
        let (position, end, why, is_open) = (state.position, state.end, state.why, state.is_open);
        drop(state);
        let job = span.job.rest(position..end, is_open);
        match ended {
            Ended::Done => self.refill(),
            Ended::Redirected => self.queue().give_back(job),
            Ended::Stopped if why == Stop::Stalled => {
                let stalled = self.stalled(&job);
                self.try_again(span, job, &stalled);
            }
            Ended::Stopped => {}
            Ended::Failed(failure) => self.try_again(span, job, &failure),
        }
    }

    /// What came gives a retry back.
    fn refill(&self) {
        let add = |tokens| (tokens < TOKENS).then_some(tokens + 1);
        // It is full, then.
        let _ = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    fn stalled(&self, job: &Job) -> Failure {
        let seconds = self.options().stall.as_secs_f64();
        let location = &job.file.entry.location;
        Failure::new(
            ErrorKind::Stalled,
            Remedy::Again,
            format!("{location}: no byte came for {seconds} s"),
        )
    }

    /// Decides what becomes of the rest of a range after a failed attempt.
    fn try_again(self: &Arc<Self>, span: &Span, mut job: Job, failure: &Failure) {
        let file = Arc::clone(&job.file);
        // A hedge that failed leaves the work to the first request, and others may have taken all that was left.
        let may_be_left = failure.remedy == Remedy::Again || failure.is_slow_down();
        let is_moot = job.is_hedge || job.range.is_empty() && may_be_left;
        if is_moot || !job.is_wanted() {
            return;
        }
        let meta = file.meta();
        let progressed = job.range.start > span.job.range.start;
        job.failed = if progressed { 1 } else { job.failed + 1 };
        let attempt = Attempt {
            meta: &meta,
            range: job.range.clone(),
            number: job.failed,
            error: &failure.error,
        };
        let verdict = match self.hooks.attempt_failed(&attempt) {
            Ok(verdict) => verdict,
            Err(error) => return self.end(&file, &Outcome::Failed(error)),
        };
        if failure.is_slow_down() {
            self.counters.slow_downs.add(1);
            self.queue().shed(Instant::now());
        }
        let most = match failure.is_slow_down() {
            true => self.options().attempts.saturating_mul(BUSY_ATTEMPTS),
            false => self.options().attempts,
        };
        let pause = match (verdict, failure.remedy) {
            (Verdict::GiveUp, _) => None,
            (_, _) if job.failed >= most.max(1) => None,
            (Verdict::After(pause), _) => Some(pause),
            (Verdict::Retry, _) | (_, Remedy::Again | Remedy::SlowDown(None)) => Some(self.pause(job.failed)),
            (_, Remedy::SlowDown(Some(pause))) => Some(pause.min(self.options().max_backoff * 3)),
            (_, Remedy::BeginAnew) => return self.begin_anew(&file, &failure.error),
            (_, Remedy::None) => None,
        };
        match pause {
            Some(pause) => self.retry_after(job, pause),
            None => self.end(&file, &Outcome::Failed(tried(&failure.error, job.failed))),
        }
    }

    fn retry_after(self: &Arc<Self>, mut job: Job, pause: Duration) {
        self.counters.retries.add(1);
        job.due = Some(Instant::now() + pause);
        self.queue().give_back(job);
        let run = Arc::clone(self);
        self.engine.runtime.spawn(async move {
            tokio::time::sleep(pause).await;
            run.dispatch();
        });
    }

    /// Full jitter: anything up to a bound that doubles with each failure.
    pub(super) fn pause(&self, failed: u32) -> Duration {
        let longest = self.options().max_backoff;
        let spend = |tokens: u64| tokens.checked_sub(1);
        let bound = match self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
        {
            Ok(_) => FIRST_PAUSE.saturating_mul(1 << failed.min(16)).min(longest),
            Err(_) => longest,
        };
        bound.mul_f64(self.draw())
    }

    /// A number from 0 to 1 (SplitMix64).
    fn draw(&self) -> f64 {
        let mut z = self.jitter.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Begins a file anew with whatever it is now, where nobody has seen its bytes; else it fails with `error`.
    pub(super) fn begin_anew(self: &Arc<Self>, file: &Arc<File>, error: &Error) {
        // Nobody may plan anything between the two halves of this.
        let mut queue = self.queue();
        let mut state = file.state();
        if state.has_ended() {
            return;
        }
        let nothing_came = state.arrived == state.resumed && error.kind() == ErrorKind::Changed;
        let wanted = self.options().on_change == OnChange::Restart
            || nothing_came
            || error.kind() == ErrorKind::Damaged;
        let unseen = state.position == state.meta.range.start && !state.is_transformed;
        if !wanted || !unseen || state.restarts >= RESTARTS {
            drop((state, queue));
            return self.end(file, &Outcome::Failed(error.clone()));
        }
        self.counters.wasted.add(state.arrived - state.resumed);
        self.counters.resumed.take(state.resumed);
        self.expect(file, 0);
        if state.started && !state.is_whole {
            self.large_open.fetch_sub(1, Ordering::Relaxed);
        }
        state.begin_anew(&file.entry);
        drop(state);
        queue.forget(file, 0);
        queue.offer(file);
        drop(queue);
        self.counters.retries.add(1);
        self.dispatch();
    }
}

/// Does one job after the other, as long as there is one.
async fn work(run: Arc<Run>, mut span: Arc<Span>) {
    loop {
        run.attempt(&span).await;
        let mut queue = run.queue();
        queue.done(&span);
        let next = queue.pick(Instant::now());
        let is_last = queue.spans.is_empty();
        queue.nudge_parked();
        drop(queue);
        run.room.notify_one();
        if is_last {
            run.idle.notify_one();
        }
        match next {
            Some(next) => span = next,
            None => break,
        }
    }
}

fn tried(error: &Error, attempts: u32) -> Error {
    match attempts {
        0 | 1 => error.clone(),
        attempts => {
            Error::new(error.kind(), format!("{error}; tried {attempts} times")).caused_by(error.clone())
        }
    }
}
