use std::collections::VecDeque;

use thiserror::Error;

use crate::change::{Change, Revision};
use crate::index::state::drawn;

/// About how many bytes of lines one answer has.
const ANSWER_BYTES: usize = 1 << 20;

/// What a change costs beside its lines.
const CHANGE_BYTES: usize = size_of::<Change>();

/// Why changes cannot be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FeedError {
    /// They are no longer kept.
    #[error("changes are kept from revision {oldest} on; take a dump and go on from its revision")]
    TooOld {
        /// The first that is kept.
        oldest: Revision,
    },
    /// The index has not come so far: it is another one, or was restored from a backup.
    #[error("the index is only at revision {newest}; take a dump and begin anew")]
    Unknown {
        /// The newest there is.
        newest: Revision,
    },
}

/// The newest committed changes.
#[derive(Debug)]
pub(super) struct Feed {
    changes: VecDeque<Change>,
    bytes: usize,
    limit: usize,
    /// Marks what is told here: another number after every opening, and after an index began anew.
    history: u64,
    /// The newest revision, also when no change is kept.
    newest: Revision,
}

impl Feed {
    pub(super) fn new(newest: Revision, limit: usize) -> Self {
        Self {
            changes: VecDeque::new(),
            bytes: 0,
            limit,
            history: drawn(),
            newest,
        }
    }

    pub(super) fn append(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.newest = change.revision;
            self.bytes += change.lines.len() + CHANGE_BYTES;
            self.changes.push_back(change);
        }
        while self.bytes > self.limit {
            let Some(oldest) = self.changes.pop_front() else {
                break;
            };
            self.bytes -= oldest.lines.len() + CHANGE_BYTES;
        }
    }

    pub(super) fn history(&self) -> u64 {
        self.history
    }

    /// What the kept changes cost.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn behind(&self, after: Revision) -> Result<Vec<Change>, FeedError> {
        if after > self.newest {
            return Err(FeedError::Unknown { newest: self.newest });
        }
        let oldest = self
            .changes
            .front()
            .map_or(self.newest.next(), |change| change.revision);
        if after.next() < oldest {
            return Err(FeedError::TooOld { oldest });
        }
        let from = self.changes.partition_point(|change| change.revision <= after);
        let mut bytes = 0;
        let fits = |change: &&Change| {
            let is_first = bytes == 0;
            bytes += change.lines.len() + CHANGE_BYTES;
            is_first || bytes <= ANSWER_BYTES
        };
        Ok(self.changes.range(from..).take_while(fits).cloned().collect())
    }
}
