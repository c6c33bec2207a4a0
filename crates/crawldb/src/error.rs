use model::{CrawlId, SourceId};

use crate::port::StoreError;

/// Why the crawl database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CrawldbError {
    /// There is no such source.
    #[error("source {0} does not exist; add it first")]
    NoSource(SourceId),
    /// A source of that name is there already.
    #[error("source {0} exists already; choose another name or change the existing one")]
    Exists(SourceId),
    /// The source was changed since the caller read it.
    #[error("the settings of source {0} were changed meanwhile; read them again and repeat the change")]
    Changed(SourceId),
    /// The source cannot be deleted while this crawl runs.
    #[error("crawl {0} is running; wait for its end or cancel it first")]
    Running(CrawlId),
    /// The source is not being deleted, so it cannot be removed.
    #[error("source {0} has references left; begin its deletion first")]
    NotDeleting(SourceId),
    /// There is no such crawl.
    #[error("crawl {0} does not exist")]
    NoCrawl(CrawlId),
    /// The crawl is over, or another process took it over: the caller must stop working on it.
    #[error("crawl {0} is over or was taken over by another process; this one must stop working on it")]
    Fenced(CrawlId),
    /// Other writers changed the same record again and again.
    #[error("{0} is written by too many at once; try again")]
    Contention(String),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a crawl did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such source.
    #[error("source {0} does not exist; add it first")]
    NoSource(SourceId),
    /// The source is a feed: what is in it is told, not crawled.
    #[error("source {0} is a feed: send its updates, there is nothing to crawl")]
    Feed(SourceId),
    /// The source is being deleted.
    #[error("source {0} is being deleted")]
    Deleting(SourceId),
    /// Too many crawls wait, or run at a time.
    #[error("source {0} has as many crawls as it may; wait for the end of one or cancel one first")]
    Full(SourceId),
    /// Another crawl of the source runs; one at a time.
    #[error("crawl {0} of this source is running; wait for its end or cancel it first")]
    Running(CrawlId),
    /// Anything else.
    #[error(transparent)]
    Crawldb(CrawldbError),
}

impl From<CrawldbError> for StartError {
    fn from(error: CrawldbError) -> Self {
        match error {
            CrawldbError::NoSource(source) => Self::NoSource(source),
            CrawldbError::Running(crawl) => Self::Running(crawl),
            other => Self::Crawldb(other),
        }
    }
}

impl From<StoreError> for StartError {
    fn from(error: StoreError) -> Self {
        Self::Crawldb(error.into())
    }
}
