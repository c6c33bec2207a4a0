use bytes::Bytes;

use crate::change::{Change, Revision};
use crate::graph::Graph;

/// Changes that are applied and that no round has taken. They stand in one piece, so that a change costs no memory of its own while the
/// index is locked.
#[derive(Default)]
pub(super) struct Pending {
    /// Lines of all changes, one after the other.
    pub(super) lines: Vec<u8>,
    /// Where the lines of each change end.
    ends: Vec<usize>,
    pub(super) undo: Undo,
}

/// The way back from changes.
#[derive(Default)]
pub(super) struct Undo {
    /// Undo lines of all changes, one after the other.
    pub(super) lines: Vec<u8>,
    /// Where the undo lines of each change end.
    ends: Vec<usize>,
}

/// Changes that a round has taken.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) changes: Vec<Change>,
    pub(super) undo: Undo,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lines.len() + self.undo.lines.len() + self.ends.len() * size_of::<Change>()
    }

    /// What was appended to the lines and the undo lines since the last call is one change.
    pub(super) fn end_change(&mut self) {
        self.ends.push(self.lines.len());
        self.undo.ends.push(self.undo.lines.len());
    }

    /// The changes, which follow `base`.
    pub(super) fn begin(self, base: Revision, origin: u64) -> InFlight {
        let lines = Bytes::from(self.lines);
        let (mut start, mut revision) = (0, base);
        let changes = self.ends.into_iter().map(|end| {
            revision = revision.next();
            let change = Change {
                revision,
                origin,
                lines: lines.slice(start..end),
            };
            start = end;
            change
        });
        InFlight {
            changes: changes.collect(),
            undo: self.undo,
        }
    }
}

impl Undo {
    /// Takes the changes back, newest first.
    pub(super) fn take_back(&self, graph: &mut Graph) {
        for (at, &end) in self.ends.iter().enumerate().rev() {
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            graph.take_back(&self.lines[start..end]);
        }
    }
}
