//! What nobody needs any more: tombstones that nothing older can meet.

use std::time::Duration;

use crawldb::{Document, Item, ItemState, Reference, Scan, Written};
use model::{ItemId, PageUrl, SourceId, Timestamp};
use updates::{Applied, Entry, topics};

use crate::write::{MAX_ITEMS, was_ever_applied};
use crate::{Ledger, LedgerError, announce};

/// What one page of a purge did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purged<K> {
    /// Tombstones that went.
    pub removed: u64,
    /// Where the next page begins; none after the last one.
    pub next: Option<K>,
}

impl Ledger {
    /// Looks at the next 1,000 tombstones of a source behind `after`, and removes those that are older than `age` and
    /// than every crawl that runs. Usually `age` is 30 days: a reader of `applied` that is slower needs a replay.
    pub async fn purge_items(
        &self,
        source: &SourceId,
        age: Duration,
        now: Timestamp,
        after: Option<&ItemId>,
    ) -> Result<Purged<ItemId>, LedgerError> {
        let cutoff = self.cutoff(Some(source), age, now).await?;
        let scan = Scan {
            states: &[ItemState::Deleted],
            after,
            ..Scan::all(source, MAX_ITEMS)
        };
        let page = self.crawldb.items(&scan).await?;
        let next = page.last().map(|item| item.id.clone());
        let old = page.into_iter().filter(|item| item.version.at() < cutoff);
        let removed = self.forget(source, old.collect(), now).await?;
        Ok(Purged { removed, next })
    }

    /// Looks at the next 1,000 documents of the index in force behind `after`, and removes their references that are
    /// gone for longer than `age` and since before every crawl that runs; and documents that had no others.
    pub async fn purge_documents(
        &self,
        age: Duration,
        now: Timestamp,
        after: Option<&PageUrl>,
    ) -> Result<Purged<PageUrl>, LedgerError> {
        let cutoff = self.cutoff(None, age, now).await?;
        let documents = self.crawldb.documents();
        let index = documents.index_in_force().await?;
        let page = documents.scan_documents(&index, after, MAX_ITEMS).await?;
        let next = page.last().map(|document| document.url.clone());
        let old = page
            .into_iter()
            .filter_map(|document| without_old(document, cutoff));
        let (dead, alive): (Vec<Document>, Vec<Document>) =
            old.partition(|document| document.references.is_empty());
        let mut written = Vec::new();
        if !alive.is_empty() {
            written.extend(documents.put_documents(&index, &alive).await?);
        }
        if !dead.is_empty() {
            written.extend(documents.delete_documents(&index, &dead).await?);
        }
        // Who was faster wrote something newer: the next purge looks again.
        let removed = written
            .iter()
            .filter(|written| matches!(written, Written::Done(_)));
        Ok(Purged {
            removed: removed.count() as u64,
            next,
        })
    }

    /// What is older than this, nobody writes over any more.
    async fn cutoff(
        &self,
        source: Option<&SourceId>,
        age: Duration,
        now: Timestamp,
    ) -> Result<Timestamp, LedgerError> {
        let mut cutoff = now.before(age);
        for stored in self.crawldb.sources().await? {
            if source.is_none_or(|source| *source == stored.id) {
                let running = self.crawldb.running(&stored).await?;
                let starts = running.iter().map(model::CrawlId::started_at);
                cutoff = starts.fold(cutoff, Timestamp::min);
            }
        }
        Ok(cutoff)
    }

    /// Removes tombstones. The log is told first that they may be forgotten; an item that came back meanwhile is told
    /// of again, because its record may lie before that.
    async fn forget(&self, source: &SourceId, old: Vec<Item>, now: Timestamp) -> Result<u64, LedgerError> {
        if old.is_empty() {
            return Ok(0);
        }
        let ids: Vec<ItemId> = old.iter().map(|item| item.id.clone()).collect();
        let intent = self.begin(source, ids, now).await?;
        let forgotten: Vec<Entry<Applied>> = old.iter().map(announce::forgotten).collect();
        self.append(&topics::applied(source), &forgotten).await?;
        let written = self.crawldb.store().delete_items(&old).await?;
        let lost = old
            .iter()
            .zip(written)
            .filter(|(_, written)| matches!(written, Written::Conflict(_)));
        let lost: Vec<ItemId> = lost.map(|(item, _)| item.id.clone()).collect();
        let back = self.crawldb.store().get_items(source, &lost).await?;
        let back = back.into_iter().flatten().filter(was_ever_applied);
        self.tell(source, back.collect()).await?;
        self.end(source, &intent).await?;
        Ok((old.len() - lost.len()) as u64)
    }
}

/// The document without references that were gone before the cutoff; none where it has no such.
fn without_old(mut document: Document, cutoff: Timestamp) -> Option<Document> {
    let all = document.references.len();
    let is_needed = |reference: &Reference| reference.body.is_some() || reference.version.at() >= cutoff;
    document.references.retain(is_needed);
    (document.references.len() < all).then_some(document)
}
