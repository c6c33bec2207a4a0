//! The end of a source.

use crawldb::transition::remove;
use crawldb::{Finished, ItemState, Scan};
use model::{ItemId, SourceId, Timestamp};
use updates::topics;

use crate::metrics::Origin;
use crate::write::MAX_ITEMS;
use crate::{INTENT_AGE, Ledger, LedgerError};

/// Every state that an item of a removed source must leave.
const REMAINING: [ItemState; 9] = [
    ItemState::Pending,
    ItemState::InFlight,
    ItemState::Success,
    ItemState::Unchanged,
    ItemState::Failure,
    ItemState::Escalated,
    ItemState::Ignored,
    ItemState::OrphanCandidate,
    ItemState::Deleting,
];

/// What the removal of a source did so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Removed {
    /// Items that became tombstones.
    pub items: u64,
    /// Of these, had a document.
    pub references: u64,
}

impl Ledger {
    /// Removes a source by reference: every item becomes a tombstone, documents lose its references and end where no
    /// other source has them, packers are told; then its topics go but for `applied`, which slow readers need, and at
    /// last the source itself. `progress` hears of every batch. May be killed anywhere, and called again.
    ///
    /// # Errors
    ///
    /// [`CrawldbError::Running`](crawldb::CrawldbError::Running) while a crawl runs. [`LedgerError::Busy`] while
    /// somebody writes items, or died at it less than [`INTENT_AGE`] ago; nothing new is written meanwhile.
    pub async fn remove_source(
        &self,
        source: &SourceId,
        now: Timestamp,
        progress: &(dyn Fn(&Removed) + Send + Sync),
    ) -> Result<Removed, LedgerError> {
        self.crawldb.begin_deletion(source, now).await?;
        let mut removed = Removed::default();
        // The live topic goes first of all topics, and only after the last intent.
        if self.has_topic(&topics::live(source)).await? {
            self.wait_for_writers(source, now).await?;
        }
        while self.remove_items(source, now, &mut removed, progress).await? {}
        let ended = [
            topics::live(source),
            topics::crawl(source),
            topics::receipts(source),
            topics::escalated(source),
        ];
        for topic in &ended {
            self.log.delete_topic(topic).await?;
        }
        self.crawldb.delete_source(source).await?;
        Ok(removed)
    }

    async fn has_topic(&self, name: &str) -> Result<bool, LedgerError> {
        let topics = self.log.topics().await?;
        Ok(topics.iter().any(|topic| topic.name == name))
    }

    /// Who put an intent before the deletion began may still write; who does it now is refused.
    async fn wait_for_writers(&self, source: &SourceId, now: Timestamp) -> Result<(), LedgerError> {
        loop {
            let recovered = self.recover(source, INTENT_AGE, now).await?;
            if recovered.left > 0 {
                return Err(LedgerError::Busy(source.clone()));
            }
            if recovered.intents == 0 {
                return Ok(());
            }
        }
    }

    /// One pass over all items; answers whether it found any that was no tombstone.
    async fn remove_items(
        &self,
        source: &SourceId,
        now: Timestamp,
        removed: &mut Removed,
        progress: &(dyn Fn(&Removed) + Send + Sync),
    ) -> Result<bool, LedgerError> {
        self.crawldb.store().refresh().await?;
        let mut after: Option<ItemId> = None;
        loop {
            let scan = Scan {
                states: &REMAINING,
                after: after.as_ref(),
                ..Scan::all(source, MAX_ITEMS)
            };
            let page = self.crawldb.items(&scan).await?;
            let ids: Vec<ItemId> = page.into_iter().map(|item| item.id).collect();
            let Some(last) = ids.last().cloned() else {
                return Ok(after.is_some());
            };
            self.remove_batch(source, ids, now, removed).await?;
            progress(removed);
            after = Some(last);
        }
    }

    async fn remove_batch(
        &self,
        source: &SourceId,
        ids: Vec<ItemId>,
        now: Timestamp,
        removed: &mut Removed,
    ) -> Result<(), LedgerError> {
        let change = self.crawldb.change_items(source, &ids, |at, item| match item {
            Some(item) => remove(item, now),
            None => Finished::Stale(ids[at].clone()),
        });
        let change = async { Ok(change.await?) };
        let finished = self
            .write(Origin::Removal, source, ids.clone(), now, change)
            .await?;
        removed.items += finished.iter().filter_map(Finished::item).count() as u64;
        removed.references += finished.iter().filter_map(Finished::told).count() as u64;
        Ok(())
    }
}
