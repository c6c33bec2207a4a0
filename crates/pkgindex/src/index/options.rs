use std::time::Duration;

use crate::graph::Cycles;

/// How an [`Index`](crate::Index) behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// What becomes of cycles.
    pub cycles: Cycles,
    /// When an answer leaves.
    pub acknowledge: Acknowledge,
    /// How old the state may be that an answer to a read shows, on a store that several servers write. Zero: every answer is checked
    /// against the store, together with all others that wait. A store that has one owner is never behind.
    pub staleness: Duration,
    /// How long a commit may fail before those who wait for it are told.
    pub commit_timeout: Duration,
    /// How often a shared store is asked for others' changes when nothing else asks it.
    pub poll_interval: Duration,
    /// How much of the newest changes is kept in memory for [`Index::changes`](crate::Index::changes), in bytes.
    pub feed_bytes: usize,
    /// How much may wait to be committed, in bytes; then commands wait before they are tried.
    pub pending_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cycles: Cycles::Literal,
            acknowledge: Acknowledge::Committed,
            staleness: Duration::ZERO,
            commit_timeout: Duration::from_secs(10),
            poll_interval: Duration::from_millis(100),
            feed_bytes: 16 << 20,
            pending_bytes: 64 << 20,
        }
    }
}

/// When an answer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// When the store has committed everything that it rests on, be it the command's own change or one that it saw.
    Committed,
    /// At once. A crash may take back what was acknowledged. Only for stores with one owner; on a shared store it is as
    /// [`Acknowledge::Committed`], because without a commit nothing is decided there.
    Applied,
}
