//! What concurrent clients asked and were told, and two independent ways to judge it.
//!
//! [`linearize`] looks for one order of all operations that explains every answer (it needs nothing but the answers, and is for small
//! histories); [`replay`] takes the order that the revisions claim and looks whether it is a right one (for histories of any length).

mod linearize;
mod replay;

use std::fmt;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Answer, Revision};

pub use linearize::{MAX_OPERATIONS, NotLinearizable, linearize};
pub use replay::{Contradiction, replay};

/// One line and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who asked; only for reports.
    pub client: usize,
    /// Without its newline.
    pub line: String,
    /// When it was asked, on the clock of the [`Recorder`].
    pub invoked: u64,
    /// What came; `None` when nobody knows whether it happened, and it may happen yet.
    pub outcome: Option<Told>,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it came, on the same clock.
    pub returned: u64,
    /// What the protocol says.
    pub answer: Answer,
    /// What the answer rests on, where the server says it.
    pub revision: Option<Revision>,
}

impl Operation {
    /// When it came; never, when the outcome is unknown.
    fn returned(&self) -> u64 {
        self.outcome.map_or(u64::MAX, |told| told.returned)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            client,
            line,
            invoked,
            outcome,
        } = self;
        match outcome {
            None => write!(f, "[{invoked:>4}, ...?] client {client}: {line} -> unknown"),
            Some(told) => {
                let Told { returned, answer, .. } = told;
                write!(
                    f,
                    "[{invoked:>4}, {returned:>4}] client {client}: {line} -> {}",
                    answer.as_str()
                )?;
                match told.revision {
                    Some(revision) => write!(f, " at {revision}"),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Writes down what clients do. Its clock only counts, so that two moments are never the same.
#[derive(Debug, Default)]
pub struct Recorder {
    clock: AtomicU64,
    operations: Mutex<Vec<Operation>>,
}

impl Recorder {
    /// With nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// The moment before a client asks.
    pub fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Writes what a client asked at `invoked` and was told just now.
    pub fn record(
        &self,
        client: usize,
        line: impl Into<String>,
        invoked: u64,
        told: Option<(Answer, Option<Revision>)>,
    ) {
        let returned = self.now();
        let outcome = told.map(|(answer, revision)| Told {
            returned,
            answer,
            revision,
        });
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Operation {
                client,
                line: line.into(),
                invoked,
                outcome,
            });
    }

    /// What is written, by the time of asking.
    pub fn into_history(self) -> Vec<Operation> {
        let mut operations = self
            .operations
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        operations.sort_by_key(|operation| operation.invoked);
        operations
    }
}
