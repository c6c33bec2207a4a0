//! What everybody in a run shares: the time, the dice, who is at it, and what went wrong.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use model::Timestamp;

use crate::bug::Bug;
use crate::dice::Dice;

/// Virtual milliseconds at which a run begins: clocks that go wrong stay positive.
const BEGIN_MS: u64 = 1_000_000;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Such as `I1`.
    pub(crate) property: &'static str,
    /// What was seen.
    pub(crate) what: String,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Passes,
    FailsBefore,
    FailsAfter,
}

/// How bad the world is; all zero where it is quiet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chaos {
    /// Of a thousand calls, so many fail.
    pub(crate) fails: u64,
    /// Of a thousand steps, in so many the actor dies.
    pub(crate) dies: u64,
    /// Of a thousand steps, in so many the actor sleeps long while another one takes its place.
    pub(crate) sleeps: u64,
    /// Of a thousand records of requests and receipts, so many vanish.
    pub(crate) vanish: u64,
    /// Of a thousand writes, after so many everything becomes visible to scans.
    pub(crate) refreshes: u64,
}

pub(crate) struct World {
    pub(crate) bug: Option<Bug>,
    inner: Mutex<Inner>,
}

struct Inner {
    now: u64,
    dice: Dice,
    chaos: Chaos,
    actor: String,
    /// What the clock of the one who is at it shows more, or less, than it should.
    skew: i64,
    log_skew: i64,
    /// How long the one who is at it wants to sleep.
    sleep: Option<u64>,
    steps: u64,
    trace: Option<Vec<String>>,
    findings: Vec<Finding>,
}

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, traced: bool) -> Self {
        let mut dice = Dice::new(seed);
        let log_skew = dice.below(8_000) as i64 - 4_000;
        let inner = Inner {
            now: BEGIN_MS,
            dice,
            chaos: Chaos::default(),
            actor: "the beginning".to_owned(),
            skew: 0,
            log_skew,
            sleep: None,
            steps: 0,
            trace: traced.then(Vec::new),
            findings: Vec::new(),
        };
        Self {
            bug,
            inner: Mutex::new(inner),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn roll<T>(&self, roll: impl FnOnce(&mut Dice) -> T) -> T {
        roll(&mut self.inner().dice)
    }

    pub(crate) fn chaos(&self) -> Chaos {
        self.inner().chaos
    }

    pub(crate) fn set_chaos(&self, chaos: Chaos) {
        self.inner().chaos = chaos;
    }

    /// The time as it is; nobody in the run knows it but the truth.
    pub(crate) fn now(&self) -> u64 {
        self.inner().now
    }

    /// The time by the clock of the one who is at it.
    pub(crate) fn clock(&self) -> Timestamp {
        let inner = self.inner();
        Timestamp::from_millis(inner.now.saturating_add_signed(inner.skew))
    }

    /// The time by the clock of the log.
    pub(crate) fn log_clock(&self) -> Timestamp {
        let inner = self.inner();
        Timestamp::from_millis(inner.now.saturating_add_signed(inner.log_skew))
    }

    pub(crate) fn advance(&self, to: u64) {
        let mut inner = self.inner();
        inner.now = inner.now.max(to);
    }

    /// Lets `actor` be the one who is at it, and a little time pass.
    pub(crate) fn enter(&self, actor: &str, skew: i64) {
        let mut inner = self.inner();
        inner.now += inner.dice.below(25);
        inner.steps += 1;
        inner.actor.clear();
        inner.actor.push_str(actor);
        inner.skew = skew;
        inner.sleep = None;
    }

    pub(crate) fn steps(&self) -> u64 {
        self.inner().steps
    }

    /// How long the one who was at it wants to sleep.
    pub(crate) fn wanted_sleep(&self) -> Option<u64> {
        self.inner().sleep
    }

    pub(crate) async fn sleep(&self, time: Duration) {
        self.inner().sleep = Some(time.as_millis() as u64);
        Yield(false).await;
    }

    /// Everybody else may do something; then it is decided what becomes of the call.
    pub(crate) async fn step(&self, call: impl FnOnce() -> String) -> Fate {
        Yield(false).await;
        let mut inner = self.inner();
        let fails = inner.chaos.fails;
        let fate = if !inner.dice.chance(fails) {
            Fate::Passes
        } else if inner.dice.chance(500) {
            Fate::FailsBefore
        } else {
            Fate::FailsAfter
        };
        if inner.trace.is_some() {
            let line = match fate {
                Fate::Passes => call(),
                fate => format!("{} ({fate:?})", call()),
            };
            inner.note(&line);
        }
        fate
    }

    pub(crate) fn note(&self, line: impl FnOnce() -> String) {
        let mut inner = self.inner();
        if inner.trace.is_some() {
            inner.note(&line());
        }
    }

    pub(crate) fn find(&self, property: &'static str, what: impl Into<String>) {
        let what = what.into();
        self.note(|| format!("FOUND {property}: {what}"));
        self.inner().findings.push(Finding { property, what });
    }

    pub(crate) fn has_findings(&self) -> bool {
        !self.inner().findings.is_empty()
    }

    pub(crate) fn take(&self) -> (Vec<Finding>, Vec<String>) {
        let mut inner = self.inner();
        let trace = inner.trace.take().unwrap_or_default();
        (std::mem::take(&mut inner.findings), trace)
    }
}

impl Inner {
    fn note(&mut self, line: &str) {
        let line = format!("{:>8} {:<14} {line}", self.now, self.actor);
        self.trace.get_or_insert_default().push(line);
    }
}

/// Gives way once.
struct Yield(bool);

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
