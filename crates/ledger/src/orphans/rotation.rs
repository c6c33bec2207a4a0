//! Sources that tell only when asked for single items: a crawl looks after some of them, those first that were not looked
//! at for the longest time.

use crawldb::{Item, OrphanReport};
use model::ItemId;

use super::guard::{live_items, too_many};
use super::lineage::Standing;
use super::oldest::{Oldest, looked_at};
use super::survey::{Survey, Suspect};
use super::verdict::split_begun;
use crate::LedgerError;
use crate::write::MAX_ITEMS;

/// Items that one crawl asks for at most, whatever its source's settings say.
const MAX_BUDGET: u64 = 100_000;

impl Survey<'_> {
    /// Asks for the oldest items that the crawl did not see. What is gone is deleted when all were asked for, unless it is
    /// so much that the guard objects.
    pub(super) async fn ask_oldest(&self) -> Result<OrphanReport, LedgerError> {
        let oldest = self.oldest().await?;
        let mut found = OrphanReport {
            candidates: oldest.len() as u64,
            ..OrphanReport::default()
        };
        let mut doomed = Vec::new();
        for ids in oldest.chunks(MAX_ITEMS) {
            let (begun, suspects) = split_begun(self.reread(ids).await?);
            doomed.extend(begun.into_iter().map(|item| self.missed_by_crawl(item.id)));
            let answers = self.ask(self.mark(suspects).await?).await;
            doomed.extend(self.settle(answers, &mut found).await?);
        }
        let counts = self.ledger.crawldb.store().counts(&self.source.id, None).await?;
        if !self.is_approved()
            && let Some(reason) = too_many(doomed.len() as u64, live_items(&counts), self.policy())
        {
            return Ok(self.blocked(found, reason));
        }
        found.deleted = self.delete(doomed).await?;
        Ok(found)
    }

    async fn oldest(&self) -> Result<Vec<ItemId>, LedgerError> {
        let done = self.crawl.orphans.present + self.crawl.orphans.deleted;
        let budget = self.policy().verify_budget.min(MAX_BUDGET).saturating_sub(done);
        let mut oldest = Oldest::new(budget as usize);
        let mut missed = self.missed();
        while let Some(page) = missed.next().await? {
            for item in page {
                if let Some(at) = looked_at(&item, self.crawl) {
                    oldest.offer(at, item.id);
                }
            }
        }
        Ok(oldest.into_ids())
    }

    /// Their records; that the crawl did not see them says nothing here.
    async fn reread(&self, ids: &[ItemId]) -> Result<Vec<Suspect>, LedgerError> {
        let stored = self
            .ledger
            .crawldb
            .store()
            .get_items(&self.source.id, ids)
            .await?;
        let suspect = |item: Item| Suspect {
            item,
            standing: Standing::Overtaken,
        };
        Ok(stored.into_iter().flatten().map(suspect).collect())
    }
}
