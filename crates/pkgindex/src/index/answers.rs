use std::sync::Arc;

use thiserror::Error;

use crate::change::Revision;
use crate::command::{Answer, Malformed};
use crate::graph::Refusal;

/// An answer with what a program may want to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What the protocol says.
    pub answer: Answer,
    /// The newest revision when the command was decided, its own change included.
    pub revision: Revision,
    /// Why, when the answer is FAIL.
    pub refusal: Option<Refusal>,
    /// Why, when the answer is ERROR.
    pub malformed: Option<Malformed>,
}

/// The store does not take changes, or cannot say whether it did: what was asked may have happened or not.
#[derive(Clone, Debug, Error)]
#[error("the index cannot answer: {0}")]
pub struct Unavailable(pub(crate) Arc<str>);

/// Why a batch was not done.
#[derive(Clone, Debug, Error)]
pub enum BatchError {
    /// A line is no command, or asks something instead of changing something. Nothing was done.
    #[error("line {line}: {reason}")]
    Line {
        /// Counted from one.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The state after it would not be a good one. Nothing was done.
    #[error("refused: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Refused(Vec<Refusal>),
    /// Others changed the index since. Nothing was done.
    #[error("the index is at revision {newest} by now; look at what has changed, and decide again")]
    Moved {
        /// The newest revision.
        newest: Revision,
    },
    /// This server only reads.
    #[error("this server only reads; send changes to the one that it follows")]
    ReadOnly,
    /// As [`Unavailable`].
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// How large an index is.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// Indexed packages.
    pub packages: usize,
    /// Edges between them.
    pub edges: usize,
    /// The newest revision, which may not be committed yet.
    pub revision: Revision,
    /// The newest revision that the store has.
    pub committed: Revision,
    /// What waits to be committed.
    pub pending_bytes: usize,
    /// What the changes cost that [`Index::changes`](crate::Index::changes) can give.
    pub feed_bytes: usize,
    /// INDEX commands that closed a cycle, under [`Cycles::Report`](crate::Cycles::Report).
    pub reported_cycles: u64,
    /// Why the index does not answer any more, when it does not.
    pub lost: Option<Unavailable>,
}
