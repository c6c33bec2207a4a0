//! What observers see.

use std::time::Duration;

use serde::Serialize;

use super::traits::{Attempt, ChunkTiming, RunStart};
use crate::entry::{Entry, FileMeta};
use crate::error::{Error, ErrorKind};
use crate::outcome::{Done, Outcome, Report};
use crate::stats::Stats;

/// What observers see; one line each in `--events`. The schema only grows within [`Event::VERSION`].
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "the fields say what they are; docs/events.md describes them"
)]
pub enum Event {
    RunStart {
        version: u32,
        start: RunStart,
    },
    ListPage {
        entries: u64,
    },
    FileStart {
        file: u64,
        location: String,
        name: String,
        size: Option<u64>,
    },
    Chunk {
        file: u64,
        start: u64,
        end: u64,
        first_byte_us: u64,
        total_us: u64,
        attempts: u32,
    },
    AttemptFailed {
        file: u64,
        start: u64,
        end: u64,
        attempt: u32,
        kind: ErrorKind,
        error: String,
    },
    FileEnd {
        file: u64,
        location: String,
        name: String,
        outcome: &'static str,
        done: Option<Done>,
        kind: Option<ErrorKind>,
        error: Option<String>,
    },
    Tick {
        stats: Stats,
    },
    RunEnd {
        elapsed_ms: u64,
        stats: Stats,
        kind: Option<ErrorKind>,
        error: Option<String>,
    },
}

impl Event {
    /// The version of the schema.
    pub const VERSION: u32 = 1;

    pub(super) fn run_start(start: &RunStart) -> Self {
        Self::RunStart {
            version: Self::VERSION,
            start: start.clone(),
        }
    }

    pub(super) fn list_page(entries: &[Entry]) -> Self {
        Self::ListPage {
            entries: entries.len() as u64,
        }
    }

    pub(super) fn file_start(meta: &FileMeta) -> Self {
        Self::FileStart {
            file: meta.index,
            location: meta.location.to_string(),
            name: meta.name.clone(),
            size: meta.size,
        }
    }

    pub(super) fn chunk(chunk: &ChunkTiming<'_>) -> Self {
        Self::Chunk {
            file: chunk.meta.index,
            start: chunk.range.start,
            end: chunk.range.end,
            first_byte_us: micros(chunk.first_byte),
            total_us: micros(chunk.total),
            attempts: chunk.attempts,
        }
    }

    pub(super) fn attempt_failed(attempt: &Attempt<'_>) -> Self {
        Self::AttemptFailed {
            file: attempt.meta.index,
            start: attempt.range.start,
            end: attempt.range.end,
            attempt: attempt.number,
            kind: attempt.error.kind(),
            error: attempt.error.to_string(),
        }
    }

    pub(super) fn file_end(meta: &FileMeta, outcome: &Outcome) -> Self {
        let (word, done, error) = match outcome {
            Outcome::Done(done) => ("done", Some(printable(done.clone())), None),
            Outcome::Cached => ("cached", None, None),
            Outcome::Skipped => ("skipped", None, None),
            Outcome::Failed(error) => ("failed", None, Some(error)),
            Outcome::Cancelled => ("cancelled", None, None),
        };
        Self::FileEnd {
            file: meta.index,
            location: meta.location.to_string(),
            name: meta.name.clone(),
            outcome: word,
            done,
            kind: error.map(Error::kind),
            error: error.map(ToString::to_string),
        }
    }

    pub(super) fn tick(stats: &Stats) -> Self {
        Self::Tick { stats: stats.clone() }
    }

    pub(super) fn run_end(report: &Report) -> Self {
        Self::RunEnd {
            elapsed_ms: u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
            stats: report.stats.clone(),
            kind: report.error.as_ref().map(Error::kind),
            error: report.error.as_ref().map(ToString::to_string),
        }
    }
}

/// JSON has no bytes, so what is not UTF-8 in a path is shown as such.
fn printable(mut done: Done) -> Done {
    done.path = done.path.map(|path| path.to_string_lossy().into_owned().into());
    done
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
