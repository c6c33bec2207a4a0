//! What a hook costs, and what it says when it panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::traits::HookTime;
use crate::error::{Error, ErrorKind};

/// The account of one hook, written by all threads that call it.
#[derive(Debug, Default)]
pub(super) struct Account {
    name: String,
    calls: AtomicU64,
    nanoseconds: AtomicU64,
    dropped: AtomicU64,
    /// The first failure; later ones are most often its consequences.
    failure: OnceLock<String>,
}

impl Account {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Makes a call and charges it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Hook`] when it panics.
    pub(super) fn call<T>(&self, call: impl FnOnce() -> T) -> Result<T, Error> {
        let started = Instant::now();
        let result = self.catch(call);
        self.charge(started.elapsed());
        result
    }

    /// Makes a call that is charged from `before` to its end, and moves `before` there. Calls in a row so share the
    /// readings of the clock.
    pub(super) fn call_after<T>(&self, before: &mut Instant, call: impl FnOnce() -> T) -> Result<T, Error> {
        let result = self.catch(call);
        let after = Instant::now();
        self.charge(after - *before);
        *before = after;
        result
    }

    fn catch<T>(&self, call: impl FnOnce() -> T) -> Result<T, Error> {
        catch_unwind(AssertUnwindSafe(call)).map_err(|panic| {
            let message = panic_message(panic.as_ref());
            self.error(&format!("panicked: {message}"))
        })
    }

    fn charge(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    /// The error of a file that the hook refuses.
    pub(super) fn refusal(&self, reason: &str) -> Error {
        self.error(&format!("refuses it: {reason}"))
    }

    pub(super) fn error(&self, what: &str) -> Error {
        let name = &self.name;
        Error::new(ErrorKind::Hook, format!("hook {name} {what}"))
    }

    pub(super) fn fail(&self, failure: String) {
        self.failure.get_or_init(|| failure);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.get().is_some()
    }

    pub(super) fn drop_events(&self, events: u64) {
        self.dropped.fetch_add(events, Relaxed);
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(super) fn time(&self) -> HookTime {
        HookTime {
            name: self.name.clone(),
            calls: self.calls.load(Relaxed),
            nanoseconds: self.nanoseconds.load(Relaxed),
            dropped: self.dropped(),
            failure: self.failure.get().cloned(),
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
