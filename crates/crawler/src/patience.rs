//! Writes that fail are tried again for a while.

use std::time::Duration;

use crawldb::CrawldbError;
use tokio::time::Instant;
use updates::LogError;

use crate::run::Shared;

const FIRST_WRITE_PAUSE: Duration = Duration::from_millis(50);
/// The longest wait between two tries of a write.
const MAX_WRITE_PAUSE: Duration = Duration::from_secs(5);

/// Why a batch could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Crawldb(#[from] CrawldbError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl ApplyError {
    fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Crawldb(CrawldbError::Fenced(_) | CrawldbError::NoCrawl(_) | CrawldbError::NoSource(_))
        )
    }
}

/// How long a write that fails is tried again.
pub(crate) struct Patience<'a> {
    shared: &'a Shared,
    begun: Instant,
    pause: Duration,
}

impl Shared {
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience {
            shared: self,
            begun: Instant::now(),
            pause: FIRST_WRITE_PAUSE,
        }
    }
}

impl Patience<'_> {
    /// Waits for the next try, or gives the error back where there is none.
    pub(crate) async fn wait(&mut self, error: ApplyError) -> Result<(), ApplyError> {
        if error.is_final() || self.begun.elapsed() > self.shared.options.write_patience {
            return Err(error);
        }
        tracing::warn!(%error, "a write failed, trying again");
        self.shared.metrics.write_retries.inc();
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(MAX_WRITE_PAUSE);
        Ok(())
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
