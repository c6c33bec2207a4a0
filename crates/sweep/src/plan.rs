use std::path::PathBuf;

use retrieve::DownloadRequest;
use serde::{Deserialize, Serialize};

use crate::matrix::Configuration;

/// What a sweep measures, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is retrieved; all of it in each run, unless a configuration takes fewer files.
    pub addresses: Vec<String>,
    /// What is compared; the first one is what the others are compared with.
    pub configurations: Vec<Configuration>,
    /// Each configuration is measured once in each of so many rounds, in an order of its own.
    pub rounds: u32,
    /// Whether a round that is not measured comes first.
    pub warm_up: bool,
    /// A run that takes longer than so many milliseconds is ended and counts as failed.
    pub limit_ms: u64,
    /// Decides the order in each round.
    pub seed: u64,
    /// Where runs save files, which are removed after each; the workplace has a folder of its own for it where none.
    pub scratch: Option<PathBuf>,
}

/// Why a plan cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// One of the addresses is none.
    #[error(transparent)]
    Address(#[from] retrieve::Error),
    /// There would be no run.
    #[error("there is nothing to measure: give at least one address, one value for each part, and one round")]
    Empty,
    /// There would be too many.
    #[error("{runs} runs are more than {}: give fewer values or rounds", Plan::MAX_RUNS)]
    TooMany {
        /// How many there would be.
        runs: usize,
    },
    /// A run would have no time at all.
    #[error("a limit of 0 ms ends every run: give a longer one")]
    NoTime,
}

impl Plan {
    /// Runs of one sweep, warm-up included.
    pub const MAX_RUNS: usize = 10_000;

    /// Looks for what cannot be followed.
    ///
    /// # Errors
    ///
    /// The first thing that is found.
    pub fn check(&self) -> Result<(), PlanError> {
        self.request()?;
        if self.addresses.is_empty() || self.runs() == 0 {
            return Err(PlanError::Empty);
        }
        if self.runs() > Self::MAX_RUNS {
            return Err(PlanError::TooMany { runs: self.runs() });
        }
        if self.limit_ms == 0 {
            return Err(PlanError::NoTime);
        }
        Ok(())
    }

    /// Runs in all rounds.
    pub fn runs(&self) -> usize {
        let rounds = self.rounds as usize + usize::from(self.warm_up);
        if self.rounds == 0 {
            0
        } else {
            rounds.saturating_mul(self.configurations.len())
        }
    }

    /// The addresses as they may be shown: without queries, which may hold a signature.
    pub(crate) fn redacted_addresses(&self) -> Vec<String> {
        self.request()
            .map(|request| request.describe())
            .unwrap_or_default()
    }

    fn request(&self) -> Result<DownloadRequest, retrieve::Error> {
        request(&self.addresses)
    }
}

/// Asks for all of `addresses`.
pub(crate) fn request(addresses: &[String]) -> Result<DownloadRequest, retrieve::Error> {
    addresses
        .iter()
        .try_fold(DownloadRequest::default(), |request, address| {
            request.and(address)
        })
}
