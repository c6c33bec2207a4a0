//! What a crawl finds, and what comes of it.

use crawldb::{Attempt, Crawl, Finished, RetryPolicy, Seen, Sighting};
use model::{ItemId, Timestamp};
use updates::topics;

use crate::metrics::Origin;
use crate::write::MAX_ITEMS;
use crate::{Ledger, LedgerError, announce};

impl Ledger {
    /// Tells the crawl database which items a crawl found, and the log about those that became due. Answers in the
    /// order of the sightings.
    ///
    /// A request that gets lost in a crash is only a hint less: the item's record says that it is due.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crawldb::CrawldbError::Fenced) where the crawl is over or was taken over.
    pub async fn sight(
        &self,
        crawl: &Crawl,
        sightings: &[Sighting],
        now: Timestamp,
    ) -> Result<Vec<Seen>, LedgerError> {
        let seen = self.crawldb.seen(crawl, sightings, now).await?;
        let requests: Vec<_> = sightings
            .iter()
            .zip(&seen)
            .filter(|(_, seen)| **seen != Seen::Known)
            .map(|(found, _)| announce::request(&crawl.id, &found.id, &found.scope))
            .collect();
        self.append(&topics::crawl(&crawl.id.source()), &requests).await?;
        Ok(seen)
    }

    /// Writes what came of claimed items, and tells the crawler by receipts. Answers in the order of the attempts; what
    /// is stale is not applied. `jitter` gives numbers from 0 to 1 and is called once per attempt.
    ///
    /// It may be called again with the same attempts after an error: those that were taken are stale then.
    ///
    /// # Errors
    ///
    /// [`Fenced`](crawldb::CrawldbError::Fenced) where the crawl is over or was taken over.
    pub async fn settle(
        &self,
        crawl: &Crawl,
        attempts: Vec<Attempt>,
        retry: &RetryPolicy,
        now: Timestamp,
        jitter: &mut (dyn FnMut() -> f64 + Send),
    ) -> Result<Vec<Finished>, LedgerError> {
        let source = crawl.id.source();
        let mut all = Vec::with_capacity(attempts.len());
        let mut attempts = attempts.into_iter().peekable();
        while attempts.peek().is_some() {
            let batch: Vec<Attempt> = attempts.by_ref().take(MAX_ITEMS).collect();
            let ids: Vec<ItemId> = batch.iter().map(|attempt| attempt.item.id.clone()).collect();
            let scopes: Vec<String> = batch.iter().map(|attempt| attempt.item.scope.clone()).collect();
            let finish = self.crawldb.finish(crawl, batch, now, retry, jitter);
            let finished = self
                .write(Origin::Crawl, &source, ids, now, async { Ok(finish.await?) })
                .await?;
            let receipts: Vec<_> = finished
                .iter()
                .zip(&scopes)
                .filter_map(|(finished, scope)| announce::receipt(&crawl.id, finished, scope))
                .collect();
            self.append(&topics::receipts(&source), &receipts).await?;
            all.extend(finished);
        }
        Ok(all)
    }
}
