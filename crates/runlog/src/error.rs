use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a log cannot be read or written.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file cannot be used.
    #[error("the log {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no log.
    #[error("the log {path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// Somebody of this process writes it.
    #[error("the log {0} is being written; wait until its run is over")]
    Live(String),
    /// No log can be called so.
    #[error("{0:?} cannot name a log; use 1 to 100 letters, digits and '-'")]
    Name(String),
    /// There are too many secrets to look for.
    #[error("the secrets cannot be masked: {0}; use fewer or shorter ones")]
    Secrets(#[from] aho_corasick::BuildError),
}

impl LogError {
    /// What went wrong with the file at `path`.
    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn damaged(path: &Path, reason: &'static str) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason,
        }
    }
}
