//! Writes that fail are tried again for a while.

use std::time::Duration;

use crawldb::CrawldbError;
use ledger::LedgerError;
use tokio::time::Instant;
use updates::LogError;

use crate::run::{Run, Shared};

const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest wait between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// Why a store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error(transparent)]
    Crawldb(#[from] CrawldbError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl WriteError {
    /// Whether the crawl is over, or in other hands.
    pub(crate) fn is_fence(&self) -> bool {
        matches!(self.crawldb(), Some(CrawldbError::Fenced(_)))
    }

    fn is_final(&self) -> bool {
        matches!(
            self.crawldb(),
            Some(CrawldbError::NoCrawl(_) | CrawldbError::NoSource(_))
        )
    }

    fn crawldb(&self) -> Option<&CrawldbError> {
        match self {
            Self::Crawldb(error) | Self::Ledger(LedgerError::Crawldb(error)) => Some(error),
            _ => None,
        }
    }
}

/// How long something that fails is tried again.
pub(crate) struct Patience {
    /// Since when it fails.
    since: Option<Instant>,
    pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            since: None,
            pause: FIRST_PAUSE,
        }
    }
}

impl Patience {
    /// Waits for the next try, or gives the error back where there is none.
    pub(crate) async fn wait(
        &mut self,
        shared: &Shared,
        run: &Run,
        error: WriteError,
    ) -> Result<(), WriteError> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let is_fenced = error.is_fence() && !run.fenced(shared).await;
        if is_fenced || error.is_final() || since.elapsed() > shared.options.write_patience {
            return Err(error);
        }
        tracing::warn!(crawl = %run.crawl.id, %error, "a store failed, trying again");
        shared.metrics.write_retries.inc();
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        Ok(())
    }

    /// It works again.
    pub(crate) fn renew(&mut self) {
        *self = Self::default();
    }
}

/// Numbers from 0 to 1 that spread retries (SplitMix64, by Steele, Lea and Flood).
pub(crate) struct Jitter(pub(crate) u64);

impl Jitter {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The message of an error and of what caused it.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
