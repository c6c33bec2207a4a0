//! The thread that has the store: it commits what is pending, in rounds, and learns what others have committed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::change::{Change, Revision};
use crate::index::feed::Feed;
use crate::index::pending::InFlight;
use crate::index::round::{Outcome, Round};
use crate::index::state::Begun;
use crate::index::{Shared, Unavailable};
use crate::store::{Commit, Packages, Store, StoreError};

/// The longest time between two calls of [`Store::tend`].
const TEND_INTERVAL: Duration = Duration::from_millis(100);

/// The first pause after a store did not answer; it doubles up to [`TEND_INTERVAL`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// The thread's owner: dropping it commits what is pending and ends the thread.
pub(super) struct Committer {
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Committer {
    pub(super) fn start(store: Box<dyn Store>, shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut turns = Turns {
            store,
            shared: Arc::clone(shared),
            polled: Instant::now(),
            tended: Instant::now(),
            is_cut_off: false,
        };
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || turns.run(&stopped))
            .map_err(StoreError::io("cannot start the thread that commits"))?;
        let _ = shared.committer.set(thread.thread().clone());
        Ok(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Turns {
    store: Box<dyn Store>,
    shared: Arc<Shared>,
    polled: Instant,
    tended: Instant,
    /// Whether the store did not tell others' changes when it was asked last.
    is_cut_off: bool,
}

/// The packages as a store sees them.
struct View<'s>(&'s Shared);

impl Packages for View<'_> {
    fn piece(&self, from: usize, lines: &mut Vec<u8>) -> Option<usize> {
        const PLACES: usize = 2048;
        let state = self.0.read();
        let end = state.graph.places().min(from + PLACES);
        for place in from..end {
            let place = u32::try_from(place).expect("places are counted in 32 bits");
            state.graph.write_line(place, lines);
        }
        (end < state.graph.places()).then_some(end)
    }

    fn applied(&self) -> Revision {
        self.0.read().applied
    }

    fn rollbacks(&self) -> u64 {
        self.0.read().rollbacks
    }
}

impl Turns {
    fn run(&mut self, stopped: &AtomicBool) {
        loop {
            // Looked at before the round, so that what was written before the stop is committed.
            let is_last = stopped.load(Ordering::Acquire);
            let began = Instant::now();
            let round = self.shared.write().begin_round();
            let has_worked = round.is_some();
            if let Some(Begun {
                pending,
                base,
                origin,
                round,
            }) = round
            {
                self.commit(base, pending.begin(base, origin), &round, began);
            }
            if is_last || self.shared.read().lost.is_some() {
                return;
            }
            let has_more = self.tend(has_worked);
            self.poll();
            if !has_worked && !has_more {
                thread::park_timeout(self.shared.options.poll_interval.min(TEND_INTERVAL));
            }
        }
    }

    /// One round: commits what was taken, as often as it needs.
    fn commit(&mut self, base: Revision, taken: InFlight, round: &Round, began: Instant) {
        let mut pause = FIRST_PAUSE;
        let mut is_unknown = false;
        loop {
            let error = match self.store.commit(base, &taken.changes) {
                Ok(Commit::Done) => return self.confirm(taken, round, began),
                Ok(Commit::Conflict) => {
                    StoreError::Unreachable("others' changes are not to be seen yet".to_owned())
                }
                Err(error) => {
                    is_unknown = !taken.changes.is_empty();
                    error
                }
            };
            // After an error our changes may be there; after a conflict those of others are.
            match self.store.changes(base) {
                Ok(found) if is_ours(&taken.changes, &found) => {
                    let others = found.into_iter().skip(taken.changes.len()).collect();
                    self.confirm(taken, round, began);
                    return self.adopt(&InFlight::default(), None, others);
                }
                Ok(found) if !found.is_empty() => return self.adopt(&taken, Some(round), found),
                // Nobody can tell any more whether ours are among what is gone, so they must not be decided again.
                Err(StoreError::TooOld(_)) if is_unknown => {
                    let why = Unavailable(error.to_string().into());
                    return self.reload(&taken, Some(round), &Outcome::Failed(why));
                }
                Err(StoreError::TooOld(_)) => {
                    return self.reload(&taken, Some(round), &Outcome::TakenBack);
                }
                Ok(_) | Err(_) => {}
            }
            let is_lost = matches!(error, StoreError::Lost(_));
            if is_lost || has_passed(began, self.shared.options.commit_timeout) {
                return self.fail(&taken, round, &error, is_lost);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(TEND_INTERVAL);
        }
    }

    fn confirm(&mut self, taken: InFlight, round: &Round, began: Instant) {
        self.shared.counts.round(taken.changes.len(), began.elapsed());
        let newest = taken.changes.last().map(|change| change.revision);
        self.shared.feed().append(taken.changes);
        let committed = {
            let mut state = self.shared.write();
            let committed = newest.unwrap_or(state.committed);
            state.confirm(committed, began);
            committed
        };
        self.polled = began;
        round.end(Outcome::Confirmed);
        self.shared.announce(committed);
    }

    /// Others were faster: takes back what is not committed and applies theirs.
    fn adopt(&mut self, taken: &InFlight, round: Option<&Round>, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        let mut state = self.shared.write();
        if !taken.changes.is_empty() || !state.pending.is_empty() {
            self.shared.counts.conflict();
        }
        let open = state.take_back(taken);
        let adopted = state.adopt(&changes);
        if let Err(error) = adopted {
            let why = Unavailable(error.to_string().into());
            tracing::error!(%error, "others' changes do not fit what is known; the index stops");
            state.lost = Some(why.clone());
            drop(state);
            return end_all(round, &open, &Outcome::Failed(why));
        }
        let committed = state.committed;
        // Before anybody can see the new revision: what is committed is told.
        self.shared.feed().append(changes);
        drop(state);
        end_all(round, &open, &Outcome::TakenBack);
        self.shared.announce(committed);
    }

    /// The changes in between are gone: begins anew with what the store holds.
    fn reload(&mut self, taken: &InFlight, round: Option<&Round>, ending: &Outcome) {
        let loaded = self.store.load();
        let mut state = self.shared.write();
        let open = state.take_back(taken);
        let replaced = loaded.and_then(|loaded| state.replace(&loaded));
        let committed = state.committed;
        if replaced.is_ok() {
            // Whoever follows this index must notice that what comes now may be another history.
            *self.shared.feed() = Feed::new(committed, self.shared.options.feed_bytes);
        }
        drop(state);
        match replaced {
            Ok(()) => {
                end_all(round, &open, ending);
                self.shared.announce(committed);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot load what the store holds");
                end_all(
                    round,
                    &open,
                    &Outcome::Failed(Unavailable(error.to_string().into())),
                );
            }
        }
    }

    fn fail(&mut self, taken: &InFlight, round: &Round, error: &StoreError, is_lost: bool) {
        tracing::error!(%error, store = self.store.name(), "changes cannot be committed");
        let why = Unavailable(error.to_string().into());
        let mut state = self.shared.write();
        let open = state.take_back(taken);
        if is_lost {
            state.lost = Some(why.clone());
        }
        drop(state);
        self.shared.counts.failure();
        end_all(Some(round), &open, &Outcome::Failed(why));
    }

    /// Lets the store do housekeeping. Returns whether it has more to do.
    fn tend(&mut self, is_busy: bool) -> bool {
        if is_busy && !has_passed(self.tended, TEND_INTERVAL / 10) {
            return false;
        }
        self.tended = Instant::now();
        self.store.tend(&View(&self.shared)).unwrap_or_else(|error| {
            tracing::warn!(%error, store = self.store.name(), "housekeeping failed; it is tried again");
            false
        })
    }

    /// Learns others' changes when no round has asked for a while.
    fn poll(&mut self) {
        if !self.store.is_shared() || !has_passed(self.polled, self.shared.options.poll_interval) {
            return;
        }
        let began = Instant::now();
        self.polled = began;
        let committed = self.shared.read().committed;
        let answered = self.store.changes(committed);
        self.note(answered.as_ref().err());
        match answered {
            Ok(changes) if changes.is_empty() => self.shared.write().confirmed_at = began,
            Ok(changes) => self.adopt(&InFlight::default(), None, changes),
            Err(StoreError::TooOld(_)) => self.reload(&InFlight::default(), None, &Outcome::TakenBack),
            Err(_) => {}
        }
    }

    /// Says once that others' changes cannot be learned, and once that they can be again.
    fn note(&mut self, error: Option<&StoreError>) {
        let store = self.store.name();
        match error.filter(|error| !matches!(error, StoreError::TooOld(_))) {
            Some(error) if !self.is_cut_off => {
                tracing::warn!(%error, store, "cannot learn others' changes; it is tried again");
                self.is_cut_off = true;
            }
            None if self.is_cut_off => {
                tracing::warn!(store, "others' changes can be learned again");
                self.is_cut_off = false;
            }
            _ => {}
        }
    }
}

/// Whether `found` begins with `ours`. The first tells, because a commit keeps all or none, and a store need not give all at once.
fn is_ours(ours: &[Change], found: &[Change]) -> bool {
    let known_by = |change: &Change| (change.origin, change.revision);
    !ours.is_empty() && ours.first().map(known_by) == found.first().map(known_by)
}

fn end_all(round: Option<&Round>, open: &Round, outcome: &Outcome) {
    if let Some(round) = round {
        round.end(outcome.clone());
    }
    open.end(outcome.clone());
}

impl Shared {
    fn announce(&self, committed: Revision) {
        self.committed.send_if_modified(|known| {
            let is_new = *known != committed;
            *known = committed;
            is_new
        });
    }
}

fn has_passed(since: Instant, duration: Duration) -> bool {
    since.elapsed() >= duration
}
