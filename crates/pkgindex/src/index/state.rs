use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;

use crate::change::{Change, Revision};
use crate::command::{Answer, Command, commands};
use crate::graph::{Cycles, Graph, Refusal};
use crate::index::Unavailable;
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
    /// Bytes in `pending` and in the round that is on its way.
    pub(super) pending_bytes: usize,
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

/// Changes in order, with the way back.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) changes: Vec<Change>,
    /// Undo lines of all changes, one after the other.
    undo: Vec<u8>,
    /// Where the undo lines of each change end.
    undo_ends: Vec<usize>,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    fn bytes(&self) -> usize {
        let lines: usize = self.changes.iter().map(|change| change.lines.len()).sum();
        lines + self.undo.len() + self.changes.len() * size_of::<Change>()
    }

    /// Takes the changes back, newest first.
    fn take_back(&self, graph: &mut Graph) {
        for (at, &end) in self.undo_ends.iter().enumerate().rev() {
            let start = at.checked_sub(1).map_or(0, |before| self.undo_ends[before]);
            graph.take_back(&self.undo[start..end]);
        }
    }
}

/// What one call has written so far: the end of each change in the lines that it gathers.
pub(super) struct Written {
    first: Revision,
    ends: Vec<usize>,
}

impl Written {
    pub(super) fn new(state: &State) -> Self {
        Self {
            first: state.applied.next(),
            ends: Vec::new(),
        }
    }
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
            pending_bytes: 0,
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

    pub(super) fn execute(
        &mut self,
        command: &Command,
        cycles: Cycles,
        written: &mut Written,
        lines: &mut Vec<u8>,
    ) -> Answer {
        let outcome = self.graph.execute(
            command,
            cycles,
            self.has_way_back.then_some(&mut self.pending.undo),
        );
        if outcome.changed {
            command.write_to(lines);
            written.ends.push(lines.len());
            self.pending.undo_ends.push(self.pending.undo.len());
            self.applied = self.applied.next();
        }
        outcome.answer
    }

    /// Puts what was written behind what is pending.
    pub(super) fn enqueue(&mut self, written: Written, lines: Vec<u8>) {
        let lines = Bytes::from(lines);
        let (mut start, mut revision) = (0, written.first);
        for end in written.ends {
            self.pending.changes.push(Change {
                revision,
                origin: self.origin,
                lines: lines.slice(start..end),
            });
            (start, revision) = (end, revision.next());
        }
        self.pending_bytes += lines.len() * 2;
    }

    /// Does a batch as one change.
    pub(super) fn apply(&mut self, batch: &[Command], cycles: Cycles) -> Result<(), Vec<Refusal>> {
        let undo = self.has_way_back.then_some(&mut self.pending.undo);
        if !self.graph.apply(batch, cycles, undo)? {
            return Ok(());
        }
        let mut lines = Vec::new();
        for command in batch {
            command.write_to(&mut lines);
        }
        self.applied = self.applied.next();
        self.pending.undo_ends.push(self.pending.undo.len());
        self.pending_bytes += lines.len();
        self.pending.changes.push(Change {
            revision: self.applied,
            origin: self.origin,
            lines: lines.into(),
        });
        Ok(())
    }

    /// Begins the open round when it has something to commit or somebody waits for it.
    pub(super) fn begin_round(&mut self) -> Option<(Pending, Arc<Round>)> {
        let is_asked = mem::take(self.is_asked.get_mut());
        if self.pending.is_empty() && !is_asked {
            return None;
        }
        let round = mem::take(&mut self.open);
        self.in_flight = Some(Arc::clone(&round));
        Some((mem::take(&mut self.pending), round))
    }

    /// The store has everything up to `committed`, and nobody was faster.
    pub(super) fn confirm(&mut self, committed: Revision, began: Instant) {
        self.in_flight = None;
        self.confirmed_at = began;
        self.pending_bytes = self.pending.bytes();
        self.committed = committed;
    }

    /// Takes back everything that is not committed, `taken` being the round on its way. Returns the open round, whose waiters decided on
    /// what is gone now.
    pub(super) fn take_back(&mut self, taken: &Pending) -> Arc<Round> {
        let pending = mem::take(&mut self.pending);
        pending.take_back(&mut self.graph);
        taken.take_back(&mut self.graph);
        self.applied = self.committed;
        self.pending_bytes = 0;
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
