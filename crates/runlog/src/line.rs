use serde::{Deserialize, Serialize};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// The program's standard output.
    Stdout,
    /// The program's standard error.
    Stderr,
    /// What Haul says.
    InternalOut,
    /// What Haul says about what went wrong.
    InternalErr,
}

/// A line of a log.
///
/// Its text is safe to show: it is UTF-8 without control characters but tabs, without terminal sequences, and without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// From 1, without gaps.
    pub number: u64,
    /// When it was read, in milliseconds since 1970; never before the line before it.
    pub at_ms: u64,
    /// Where from.
    pub stream: Stream,
    /// Without its end.
    pub text: String,
}
