//! Items, documents and the log, in the order that a crash cannot hurt.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use crawldb::{CrawldbError, Finished, IndexName, Intent, Item, Reference};
use model::{ItemId, PageUrl, SourceId, Timestamp, Version};
use serde::Serialize;
use updates::{Applied, Entry, Position, topics};

use crate::metrics::{Origin, Step};
use crate::{Ledger, LedgerError, announce};

/// Items that one intent names at most.
pub(crate) const MAX_ITEMS: usize = 1_000;
/// Records of one append at most.
const MAX_APPEND: usize = 5_000;
/// How often what is told is checked against the records; each time another writer must have been faster.
const MAX_TELLS: u32 = 32;

impl Ledger {
    /// Writes items that `change` makes, and everything that follows from them. `change` answers what it decided.
    ///
    /// Where it fails after the items were written, the intent stays, and [`recover`](Self::recover) does the rest.
    pub(crate) async fn write<F>(
        &self,
        origin: Origin,
        source: &SourceId,
        ids: Vec<ItemId>,
        now: Timestamp,
        change: F,
    ) -> Result<Vec<Finished>, LedgerError>
    where
        F: Future<Output = Result<Vec<Finished>, LedgerError>>,
    {
        let intent = self.begin(source, ids, now).await?;
        if let Err(refused) = self.check_writable(origin, source).await {
            self.end(source, &intent).await?;
            return Err(refused);
        }
        let written = self.carry_out(source, change).await;
        let finished = written.inspect_err(|_| self.metrics.intent_left())?;
        self.end(source, &intent).await?;
        self.metrics.finished(origin, &finished);
        Ok(finished)
    }

    /// Names the items that are about to be written, for whoever comes after this process.
    pub(crate) async fn begin(
        &self,
        source: &SourceId,
        items: Vec<ItemId>,
        at: Timestamp,
    ) -> Result<String, LedgerError> {
        let number = self.intents.fetch_add(1, Ordering::Relaxed);
        let intent = Intent {
            id: format!("{}-{number}", self.owner),
            source: source.clone(),
            owner: self.owner.to_string(),
            items,
            at,
        };
        self.crawldb.store().put_intent(&intent).await?;
        Ok(intent.id)
    }

    pub(crate) async fn end(&self, source: &SourceId, intent: &str) -> Result<(), LedgerError> {
        Ok(self.crawldb.store().delete_intent(source, intent).await?)
    }

    /// A source that is being deleted is written by its removal alone. The removal waits until no intent is left, and
    /// this is asked after the intent was written: one of the two sees the other.
    async fn check_writable(&self, origin: Origin, source: &SourceId) -> Result<(), LedgerError> {
        if origin == Origin::Removal {
            return Ok(());
        }
        match self.crawldb.source(source).await? {
            None => Err(CrawldbError::NoSource(source.clone()).into()),
            Some(stored) if stored.deleting_since.is_some() => Err(LedgerError::Deleting(stored.id)),
            Some(_) => Ok(()),
        }
    }

    async fn carry_out<F>(&self, source: &SourceId, change: F) -> Result<Vec<Finished>, LedgerError>
    where
        F: Future<Output = Result<Vec<Finished>, LedgerError>>,
    {
        let finished = self.metrics.timed(Step::Items, change).await?;
        self.tell(source, newest(finished.iter().filter_map(Finished::told)))
            .await?;
        self.tell_people(source, finished.iter().filter_map(Finished::item))
            .await?;
        Ok(finished)
    }

    /// Makes documents and `applied` say what the items' records say. May be repeated.
    ///
    /// Two who write one item tell of it in any order, and only the last record of an item survives compaction. So
    /// each looks at the items again after it told of them, and tells once more what changed: who is last tells the
    /// truth. The same holds for an index that came in force meanwhile.
    pub(crate) async fn tell(&self, source: &SourceId, items: Vec<Item>) -> Result<(), LedgerError> {
        let mut items = items;
        for _ in 0..MAX_TELLS {
            if items.is_empty() {
                return Ok(());
            }
            let index = self.crawldb.documents().index_in_force().await?;
            let references: Vec<(PageUrl, Reference)> = items.iter().map(announce::reference).collect();
            let refer = self.crawldb.refer(&index, &references);
            self.metrics.timed(Step::Documents, refer).await?;
            let applied: Vec<Entry<Applied>> = items.iter().map(announce::applied).collect();
            self.metrics
                .timed(Step::Log, self.append(&topics::applied(source), &applied))
                .await?;
            items = self.outdated(source, &index, &items).await?;
        }
        Err(CrawldbError::Contention(format!("source {source}")).into())
    }

    /// Of the items that were told of, as stored now, those that must be told of again.
    async fn outdated(
        &self,
        source: &SourceId,
        index: &IndexName,
        told: &[Item],
    ) -> Result<Vec<Item>, LedgerError> {
        let ids: Vec<ItemId> = told.iter().map(|item| item.id.clone()).collect();
        let stored = self.crawldb.store().get_items(source, &ids).await?;
        let is_in_force = self.crawldb.documents().index_in_force().await? == *index;
        let changed = |(stored, told): (Option<Item>, &Item)| {
            stored.filter(|stored| !is_in_force || stored.revision != told.revision)
        };
        let outdated = stored.into_iter().zip(told).filter_map(changed);
        Ok(outdated.filter(was_ever_applied).collect())
    }

    /// Tells people of items that are escalated, and of those that somebody decided about. May be repeated.
    pub(crate) async fn tell_people<'a>(
        &self,
        source: &SourceId,
        items: impl Iterator<Item = &'a Item>,
    ) -> Result<(), LedgerError> {
        let escalated: Vec<_> = items.filter_map(announce::escalated).collect();
        self.append(&topics::escalated(source), &escalated).await?;
        Ok(())
    }

    pub(crate) async fn append<T: Serialize>(
        &self,
        topic: &str,
        entries: &[Entry<T>],
    ) -> Result<Vec<Position>, LedgerError> {
        let mut positions = Vec::with_capacity(entries.len());
        for chunk in entries.chunks(MAX_APPEND) {
            positions.extend(self.log.append(topic, chunk).await?);
        }
        Ok(positions)
    }
}

/// Whether the item ever had, or lost, content: there is something to tell.
pub(crate) fn was_ever_applied(item: &Item) -> bool {
    item.version != Version::NONE
}

/// The last write of each item, by item.
fn newest<'a>(written: impl Iterator<Item = &'a Item>) -> Vec<Item> {
    let mut newest: HashMap<&ItemId, &Item> = HashMap::new();
    let mut order = Vec::new();
    for item in written {
        if newest.insert(&item.id, item).is_none() {
            order.push(&item.id);
        }
    }
    order.into_iter().map(|id| newest[id].clone()).collect()
}
