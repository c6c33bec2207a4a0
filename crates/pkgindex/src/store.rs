//! Where an index is kept: the port [`Store`] and its five implementations.

mod log;
mod memory;
mod postgres;
mod record;
mod redis;
mod replica;
mod service;
mod shared_disk;

use std::io;

use bytes::Bytes;
use thiserror::Error;

use crate::change::{Change, Revision};

pub use log::*;
pub use memory::MemoryStore;
pub use postgres::*;
pub use redis::*;
pub use replica::*;
pub use shared_disk::*;

/// Keeps what an index decides.
///
/// The index in memory decides every command, under one lock. A store does not judge: it keeps changes, in order, each wholly or not
/// at all. What makes several servers on one store safe is that a commit is a compare-and-swap: it names the revision that it stands
/// on and fails when the store is elsewhere; the index then takes back what it had not committed, learns the others' changes with
/// [`Store::changes`], and decides again.
///
/// One thread calls a store, so it needs no locks; calls may block. No method panics on what it finds.
pub trait Store: Send {
    /// One word for messages and metrics.
    fn name(&self) -> &'static str;

    /// Whether other servers may write the same store at the same time. Where not, opening has made sure that nobody else does.
    fn is_shared(&self) -> bool;

    /// Whether anything is kept at all. Where not, nobody waits for a commit.
    fn is_kept(&self) -> bool {
        true
    }

    /// Whether changes can be committed here. Where not, INDEX and REMOVE are refused before they are tried.
    fn is_writable(&self) -> bool {
        true
    }

    /// Everything that is kept, with the revision of it. Called once before anything else, and again when
    /// [`StoreError::TooOld`] says that changes are gone.
    fn load(&mut self) -> Result<Loaded, StoreError>;

    /// Keeps `changes`, whose revisions follow `base` one by one, all of them or none, so that a crash right after `Ok` loses nothing.
    /// With no changes it asks whether `base` is still the newest revision.
    ///
    /// After an error it is not known what was kept, which [`Store::changes`] will tell.
    fn commit(&mut self, base: Revision, changes: &[Change]) -> Result<Commit, StoreError>;

    /// Changes behind `after` that are kept, in order, without a gap; nothing when there are none. It may stop early, but not before the
    /// first.
    fn changes(&mut self, after: Revision) -> Result<Vec<Change>, StoreError>;

    /// A moment between commits, at least every 100 ms: snapshots, leases, clearing up. Commits wait until it returns, so long work
    /// is done in pieces. Returns whether there is more to do at once.
    fn tend(&mut self, packages: &dyn Packages) -> Result<bool, StoreError> {
        let _ = packages;
        Ok(false)
    }

    /// Looks whether everything that is kept is whole and agrees, and with `repair` mends what can be mended without losing a change.
    /// Nobody else may have the store open.
    fn check(&mut self, repair: bool) -> Result<Vec<Finding>, StoreError>;
}

/// What a store holds.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The newest revision.
    pub revision: Revision,
    /// An INDEX line for every package, in any order; see [`Latest`](crate::Latest) for a way to make it out of changes.
    pub lines: Bytes,
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// Kept; or, without changes, `base` is the newest revision.
    Done,
    /// The newest revision is another one; nothing was kept.
    Conflict,
}

/// The packages as the index has them now, for stores that write snapshots of them.
pub trait Packages {
    /// Appends INDEX lines for some of the packages that stand at place `from` or behind, and returns the place to go on, or `None` at the
    /// end. Between two calls packages come, go and change places: the union of all pieces is only right together with all
    /// changes since the first call began, applied in order on top.
    fn piece(&self, from: usize, lines: &mut Vec<u8>) -> Option<usize>;

    /// The newest revision that pieces may have shown, which may not be committed yet.
    fn applied(&self) -> Revision;

    /// Counts how often applied changes were taken back. A snapshot whose pieces come from before and after is void.
    fn rollbacks(&self) -> u64;
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong and where, in a sentence.
    pub what: String,
    /// Whether it is mended.
    pub mended: bool,
}

/// Why a store did not do what was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, with the place.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// What is kept is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// Somebody else has it.
    #[error("{0}")]
    InUse(String),
    /// A service that keeps the data does not answer, or not in time.
    #[error("{0}")]
    Unreachable(String),
    /// The service's or the folder's settings do not allow what was promised.
    #[error("{0}")]
    Unsuited(String),
    /// The changes that were asked for are no longer kept; load again.
    #[error("changes behind revision {0} are no longer kept")]
    TooOld(Revision),
    /// After what happened nothing may be promised any more; only a new start helps.
    #[error("{0}")]
    Lost(String),
}

impl StoreError {
    /// For `map_err`: an error of the system, with what was tried.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
