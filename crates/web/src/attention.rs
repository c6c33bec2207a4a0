//! What waits for people, for the navigation of every page.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crawldb::{CrawlStatus, Crawldb, ItemState, Source, StoreError};
use futures::{StreamExt, TryStreamExt, stream};
use model::CrawlId;

/// How old the figures of the navigation may be.
const MAX_AGE: Duration = Duration::from_secs(5);
/// Sources that are asked at a time.
const AT_A_TIME: usize = 16;

/// What waits for a person's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Waiting {
    pub(crate) escalated: u64,
    /// Candidates for deletion, and crawls whose deletions a guard stopped.
    pub(crate) orphans: u64,
}

/// Remembers what waits for a few seconds.
#[derive(Debug, Default)]
pub(crate) struct Attention(Mutex<Option<(Instant, Waiting)>>);

impl Attention {
    /// What waits now, or did a few seconds ago; nothing where the crawl database does not answer.
    pub(crate) async fn waiting(&self, crawldb: &Crawldb) -> Waiting {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, waiting)) = known.filter(|(at, _)| at.elapsed() < MAX_AGE) {
            return waiting;
        }
        match count(crawldb).await {
            Ok(waiting) => {
                self.set(Some((Instant::now(), waiting)));
                waiting
            }
            Err(error) => {
                tracing::warn!(%error, "what waits for people could not be counted");
                Waiting::default()
            }
        }
    }

    /// Somebody decided something: the next page counts again.
    pub(crate) fn forget(&self) {
        self.set(None);
    }

    fn set(&self, known: Option<(Instant, Waiting)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

async fn count(crawldb: &Crawldb) -> Result<Waiting, StoreError> {
    let sources = crawldb.store().list_sources().await?;
    let counts = sources
        .into_iter()
        .map(|source| async move { of_source(crawldb, &source).await });
    let all = stream::iter(counts).buffer_unordered(AT_A_TIME);
    all.try_fold(Waiting::default(), async |waiting, more| {
        Ok(Waiting {
            escalated: waiting.escalated + more.escalated,
            orphans: waiting.orphans + more.orphans,
        })
    })
    .await
}

async fn of_source(crawldb: &Crawldb, source: &Source) -> Result<Waiting, StoreError> {
    let store = crawldb.store();
    let counts = store.counts(&source.id, None).await?;
    let of = |state| counts.by_state.get(&state).map_or(0, |(items, _)| *items);
    // The newest crawl judges; an older one has nothing to say any more.
    let newest = match source.last_crawl_start {
        Some(start) => store.get_crawl(&CrawlId::at(&source.id, start)).await?,
        None => None,
    };
    let is_blocked =
        newest.is_some_and(|crawl| crawl.status == CrawlStatus::Blocked && crawl.orphans.approval.is_none());
    Ok(Waiting {
        escalated: of(ItemState::Escalated),
        orphans: of(ItemState::OrphanCandidate) + u64::from(is_blocked),
    })
}
