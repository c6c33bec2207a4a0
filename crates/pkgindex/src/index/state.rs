use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::change::{Change, Revision};
use crate::command::{Answer, Command, commands};
use crate::graph::{Cycles, Graph, Refusal};
use crate::index::Unavailable;
use crate::index::pending::{InFlight, Pending};
use crate::index::round::Round;
use crate::snapshot::{Copied, Snapshot};
use crate::store::{Loaded, StoreError};

/// Everything under the index's lock.
pub(super) struct State {
    pub(super) graph: Graph,
    /// The revision that `graph` shows.
    pub(super) applied: Revision,
    /// The revision that the store has.
    pub(super) committed: Revision,
    /// Changes that are applied and that no round has taken.
    pub(super) pending: Pending,
    /// What the round that is on its way has taken.
    in_flight_bytes: usize,
    /// The round that has not begun.
    pub(super) open: Arc<Round>,
    /// The round that is on its way.
    pub(super) in_flight: Option<Arc<Round>>,
    /// When the last confirmed round began.
    pub(super) confirmed_at: Instant,
    /// Whether somebody waits for the open round though nothing is pending.
    is_asked: AtomicBool,
    /// How often applied changes were taken back.
    pub(super) rollbacks: u64,
    pub(super) lost: Option<Unavailable>,
    has_way_back: bool,
    /// Marks the changes of this index until some of them are taken back.
    origin: u64,
    snapshot: Option<Arc<Snapshot>>,
}

/// A round that has begun, and what it has to commit.
pub(super) struct Begun {
    pub(super) pending: Pending,
    /// What the changes follow.
    pub(super) base: Revision,
    pub(super) origin: u64,
    pub(super) round: Arc<Round>,
}

/// A snapshot, or what it is to be made of.
pub(super) enum Taken {
    Known(Arc<Snapshot>),
    Copied(Copied),
}

impl State {
    /// `is_kept` says whether commits can fail, so that a way back is needed.
    pub(super) fn new(loaded: &Loaded, is_kept: bool) -> Result<Self, StoreError> {
        Ok(Self {
            has_way_back: is_kept,
            graph: graph_of(&loaded.lines)?,
            applied: loaded.revision,
            committed: loaded.revision,
            pending: Pending::default(),
            in_flight_bytes: 0,
            open: Arc::default(),
            in_flight: None,
            confirmed_at: Instant::now(),
            is_asked: AtomicBool::new(false),
            rollbacks: 0,
            lost: None,
            origin: drawn(),
            snapshot: None,
        })
    }

    /// Says that the open round is wanted, though it may have nothing to commit.
    pub(super) fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// Bytes that are applied and not committed.
    pub(super) fn pending_bytes(&self) -> usize {
        self.in_flight_bytes + self.pending.bytes()
    }

    pub(super) fn execute(&mut self, command: &Command, cycles: Cycles) -> Answer {
        let undo = self.has_way_back.then_some(&mut self.pending.undo.lines);
        let outcome = self.graph.execute(command, cycles, undo);
        if outcome.changed {
            command.write_to(&mut self.pending.lines);
            self.end_change();
        }
        outcome.answer
    }

    /// Does a batch as one change.
    pub(super) fn apply(&mut self, batch: &[Command], cycles: Cycles) -> Result<(), Vec<Refusal>> {
        let undo = self.has_way_back.then_some(&mut self.pending.undo.lines);
        if self.graph.apply(batch, cycles, undo)? {
            for command in batch {
                command.write_to(&mut self.pending.lines);
            }
            self.end_change();
        }
        Ok(())
    }

    fn end_change(&mut self) {
        self.pending.end_change();
        self.applied = self.applied.next();
    }

    /// Begins the open round when it has something to commit or somebody waits for it. No other may be on its way.
    pub(super) fn begin_round(&mut self) -> Option<Begun> {
        let is_asked = mem::take(self.is_asked.get_mut());
        if self.pending.is_empty() && !is_asked {
            return None;
        }
        let round = mem::take(&mut self.open);
        self.in_flight = Some(Arc::clone(&round));
        self.in_flight_bytes = self.pending.bytes();
        Some(Begun {
            pending: mem::take(&mut self.pending),
            base: self.committed,
            origin: self.origin,
            round,
        })
    }

    /// The store has everything up to `committed`, and nobody was faster.
    pub(super) fn confirm(&mut self, committed: Revision, began: Instant) {
        self.in_flight = None;
        self.confirmed_at = began;
        self.in_flight_bytes = 0;
        self.committed = committed;
    }

    /// Takes back everything that is not committed, `taken` being the round on its way. Returns the open round, whose waiters decided on
    /// what is gone now.
    pub(super) fn take_back(&mut self, taken: &InFlight) -> Arc<Round> {
        let pending = mem::take(&mut self.pending);
        pending.undo.take_back(&mut self.graph);
        taken.undo.take_back(&mut self.graph);
        self.applied = self.committed;
        self.in_flight_bytes = 0;
        self.in_flight = None;
        self.rollbacks += 1;
        // The store may have kept what is taken back here, or do so yet; what is decided now must not be taken for it.
        self.origin = drawn();
        self.is_asked = AtomicBool::new(false);
        mem::take(&mut self.open)
    }

    /// Applies what others have committed. Nothing may be pending.
    pub(super) fn adopt(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            let lines = parsed(&change.lines)?;
            self.graph
                .apply(&lines, Cycles::Literal, None)
                .map_err(|refusals| damaged(change.revision, &refusals))?;
            self.applied = change.revision;
        }
        self.committed = self.applied;
        Ok(())
    }

    /// Begins anew with what the store holds. Nothing may be pending.
    pub(super) fn replace(&mut self, loaded: &Loaded) -> Result<(), StoreError> {
        self.graph = graph_of(&loaded.lines)?;
        self.applied = loaded.revision;
        self.committed = loaded.revision;
        self.snapshot = None;
        Ok(())
    }

    /// The last snapshot, when nothing has changed since.
    pub(super) fn known_snapshot(&self) -> Option<Arc<Snapshot>> {
        let snapshot = self.snapshot.as_ref()?;
        (snapshot.revision() == self.committed && self.applied == self.committed)
            .then(|| Arc::clone(snapshot))
    }

    pub(super) fn remember(&mut self, snapshot: &Arc<Snapshot>) {
        if snapshot.revision() == self.committed {
            self.snapshot = Some(Arc::clone(snapshot));
        }
    }
}

fn graph_of(lines: &Bytes) -> Result<Graph, StoreError> {
    let mut graph = Graph::default();
    graph
        .apply(&parsed(lines)?, Cycles::Literal, None)
        .map_err(|refusals| damaged(Revision(0), &refusals))?;
    Ok(graph)
}

fn parsed(lines: &[u8]) -> Result<Vec<Command<'_>>, StoreError> {
    let damaged =
        |malformed| StoreError::Damaged(format!("the store holds a line that is no command: {malformed}"));
    commands(lines).collect::<Result<_, _>>().map_err(damaged)
}

fn damaged(revision: Revision, refusals: &[Refusal]) -> StoreError {
    let first = refusals.first().map(ToString::to_string).unwrap_or_default();
    StoreError::Damaged(format!(
        "what the store holds does not fit together at revision {revision}: {first}; run `check`"
    ))
}

/// A number that nobody else draws, as far as chance goes.
pub(super) fn drawn() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
