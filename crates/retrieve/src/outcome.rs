use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::entry::{Declared, FileMeta};
use crate::error::Error;
use crate::hooks::HookTime;
use crate::stats::Stats;

/// How a file ended; every file ends exactly once.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// All wanted bytes are there.
    Done(Done),
    /// A hook said that it is there already.
    Cached,
    /// A hook did not want it.
    Skipped,
    /// It could not be had.
    Failed(Error),
    /// The run was cancelled before it ended.
    Cancelled,
}

/// A file that was retrieved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Done {
    /// Wanted bytes that came.
    pub bytes: u64,
    /// Of these, how many an earlier run had left behind.
    pub resumed_bytes: u64,
    /// What was computed of the bytes, where they are the whole object.
    pub checksum: Option<Declared>,
    /// Whether the server declared a checksum of the whole object and it is this one.
    pub verified: bool,
    /// Where it was saved.
    pub path: Option<PathBuf>,
}

/// One file's end.
#[derive(Clone, Debug)]
pub struct FileEnd {
    /// The file.
    pub meta: FileMeta,
    /// Its end.
    pub outcome: Outcome,
}

/// What became of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The last figures.
    pub stats: Stats,
    /// From start to end.
    pub elapsed: Duration,
    /// Why the run itself ended early, such as a listing that failed.
    pub error: Option<Error>,
    /// Files that failed, at most [`Report::MAX_FAILED`] of them; `stats.files_failed` counts all.
    pub failed: Vec<(FileMeta, Error)>,
    /// What each hook cost, in the order of registration.
    pub hooks: Vec<HookTime>,
}

impl Report {
    /// So many failed files are kept with their reason.
    pub const MAX_FAILED: usize = 10_000;

    /// Whether everything that was asked for is there, and no hook failed.
    pub fn is_complete(&self) -> bool {
        let hooks_are_well = self.hooks.iter().all(|hook| hook.failure.is_none());
        self.error.is_none()
            && self.stats.files_failed == 0
            && self.stats.files_cancelled == 0
            && hooks_are_well
    }
}
