//! The gate to one host: when the next request may start, and whether any may.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{Breaker, Verdict};
use crate::fetch::FetchError;
use crate::run::Shared;

/// Lets requests through, so far apart, and pauses when the host fails.
pub(crate) struct Gate {
    state: Mutex<State>,
    given_up: OnceLock<FetchError>,
}

struct State {
    next: Instant,
    delay: Duration,
    pause_end: Instant,
    breaker: Breaker,
}

impl Gate {
    pub(crate) fn new(shared: &Shared, delay: Duration) -> Self {
        let now = Instant::now();
        Self {
            state: Mutex::new(State {
                next: now,
                delay,
                pause_end: now,
                breaker: Breaker::new(shared.options.breaker),
            }),
            given_up: OnceLock::new(),
        }
    }

    /// The site asks for this much time between two requests.
    pub(crate) fn keep_apart(&self, delay: Duration) {
        let mut state = self.state();
        state.delay = state.delay.max(delay);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this request's turn; a pause that begins meanwhile moves it.
    pub(crate) async fn turn(&self) {
        loop {
            let start = self.state().reserve();
            if start > Instant::now() {
                tokio::time::sleep_until(start).await;
            }
            if self.state().pause_end <= start {
                return;
            }
        }
    }

    /// Why nothing more is asked of this host.
    pub(crate) fn given_up(&self) -> Option<&FetchError> {
        self.given_up.get()
    }

    pub(crate) fn answered(&self) {
        self.state().breaker.success();
    }

    /// One more failure of the host; too many pause it, and then end it.
    pub(crate) fn failed(&self, shared: &Shared, error: &FetchError) {
        let mut state = self.state();
        let asked = error
            .retry_after
            .unwrap_or_default()
            .min(shared.options.breaker.max_pause);
        state.pause(asked);
        match state.breaker.failure() {
            Verdict::GoOn => {}
            Verdict::Pause(pause) => {
                shared.metrics.pauses.inc();
                state.pause(pause);
            }
            Verdict::GiveUp => {
                let message = format!("the host keeps failing and is left alone: {}", error.message);
                self.given_up
                    .get_or_init(|| FetchError::permanent(error.kind, message));
            }
        }
    }
}

impl State {
    /// The start of the next request; those after it come later by the delay.
    fn reserve(&mut self) -> Instant {
        let start = self.next.max(Instant::now());
        self.next = start + self.delay.max(self.breaker.spacing());
        start
    }

    fn pause(&mut self, pause: Duration) {
        self.pause_end = self.pause_end.max(Instant::now() + pause);
        self.next = self.next.max(self.pause_end);
    }
}
