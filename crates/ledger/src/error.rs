use crawldb::{CrawldbError, StoreError};
use model::SourceId;
use updates::LogError;

/// Why something could not be written. What was begun is written by [`recover`](crate::Ledger::recover), or by the same
/// call again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The crawl database failed, or refused it.
    #[error(transparent)]
    Crawldb(#[from] CrawldbError),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The source is being deleted: nothing is written for it any more, and what was sent may be forgotten.
    #[error("source {0} is being deleted; send nothing more of it")]
    Deleting(SourceId),
    /// Writes of the source are under way, or their process died a moment ago.
    #[error("writes of source {0} are under way; try again in a minute")]
    Busy(SourceId),
    /// What was asked for does not fit.
    #[error("{0}")]
    Refused(String),
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Crawldb(error.into())
    }
}
