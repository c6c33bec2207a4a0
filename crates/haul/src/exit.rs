//! How a command ends: the documented exit codes.

use std::process::ExitCode;

use model::SourceId;

/// What the process tells whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done = 0,
    /// It failed; stderr says why.
    Failed = 1,
    /// The command line or the configuration is wrong. Nothing was done.
    Usage = 2,
    /// It worked, and there was nothing: no answer, no such source.
    Nothing = 3,
    /// Another process uses the data folder.
    Busy = 4,
    /// Stopped by Ctrl-C or SIGTERM before it was done; the next start goes on.
    Interrupted = 130,
}

/// Shown by `--help`.
pub(crate) const HELP: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 nothing found, \
4 the data folder is in use by another haul, 130 interrupted (the next start goes on).";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The command line asks for something that cannot be; the message says what to change.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(pub(crate) String);

/// The command names a source that was never added, or is gone.
#[derive(Debug, thiserror::Error)]
#[error("there is no source {0}; `haul source list` lists them")]
pub(crate) struct NoSource(pub(crate) SourceId);
