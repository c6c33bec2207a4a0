//! What people decide about items and about crawls that a guard blocked.

use crawldb::transition::{MAX_REASON_BYTES, rule};
use crawldb::{Approval, Crawl, CrawlStatus, CrawldbError, Decision, Finished, Item, Ruling};
use model::{CrawlId, ItemId, SourceId, Timestamp};
use updates::topics;

use crate::metrics::Origin;
use crate::{Ledger, LedgerError, announce};

/// Bytes of the name of who decides at most.
const MAX_NAME_BYTES: usize = 200;

impl Ledger {
    /// Carries out a person's decision about an item. Long reasons and names are cut.
    ///
    /// An item that is requeued is asked for at once: of its crawl while that one runs, else of the live listener. Where
    /// the source takes no live updates, the next crawl takes it.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Refused`] where there is no such item, or the decision does not fit its state.
    pub async fn rule(
        &self,
        source: &SourceId,
        id: &ItemId,
        ruling: &Ruling,
        now: Timestamp,
    ) -> Result<Item, LedgerError> {
        let stored = self.crawldb.source(source).await?;
        let stored = stored.ok_or_else(|| CrawldbError::NoSource(source.clone()))?;
        let running = self.crawldb.running(&stored).await?;
        let ruling = Ruling {
            reason: shortened(&ruling.reason, MAX_REASON_BYTES),
            by: shortened(&ruling.by, MAX_NAME_BYTES),
            ..ruling.clone()
        };
        let ids = [id.clone()];
        let change = self.crawldb.change_items(source, &ids, |_, item| {
            item.and_then(|item| rule(item, &ruling, &running, now))
                .unwrap_or_else(|| Finished::Stale(id.clone()))
        });
        let change = async { Ok(change.await?) };
        let finished = self
            .write(Origin::Person, source, ids.to_vec(), now, change)
            .await?;
        let Some(item) = finished.first().and_then(Finished::item).cloned() else {
            return Err(self.misfit(source, id, ruling.decision).await?);
        };
        if ruling.decision == Decision::Requeue && running.contains(&item.crawl) {
            let request = announce::request(&item.crawl, id, &item.scope);
            self.append(&topics::crawl(source), &[request]).await?;
        } else if ruling.decision == Decision::Requeue {
            self.ask_again(&stored, vec![item.clone()], now).await?;
        }
        Ok(item)
    }

    /// Why nothing was done.
    async fn misfit(
        &self,
        source: &SourceId,
        id: &ItemId,
        decision: Decision,
    ) -> Result<LedgerError, LedgerError> {
        let refused = match self.crawldb.item(source, id).await? {
            None => format!("source {source} has no item {id}"),
            Some(item) => format!(
                "the decision {decision:?} does not fit item {id}, which is {:?}: escalated and ignored items may be \
                 requeued, ignored and deleted, candidates for deletion may be kept and deleted",
                item.state
            ),
        };
        Ok(LedgerError::Refused(refused))
    }

    /// Notes that a person approves the deletions that a guard blocked; the next sweep carries them out.
    ///
    /// There is no opposite: nothing is deleted without an approval, and the next crawl judges anew.
    ///
    /// # Errors
    ///
    /// [`LedgerError::Refused`] where the crawl is not blocked, or a newer one of the source has begun.
    pub async fn approve(&self, id: &CrawlId, approval: &Approval) -> Result<Crawl, LedgerError> {
        let source = self.crawldb.source(&id.source()).await?;
        if source.and_then(|source| source.last_crawl_start) != Some(id.started_at()) {
            let refused = format!("crawl {id} is not the newest of its source; the newest one judges");
            return Err(LedgerError::Refused(refused));
        }
        let approval = Approval {
            reason: shortened(&approval.reason, MAX_REASON_BYTES),
            by: shortened(&approval.by, MAX_NAME_BYTES),
            ..approval.clone()
        };
        let approve = |crawl: &mut Crawl| {
            if crawl.status == CrawlStatus::Blocked {
                crawl.orphans.approval = Some(approval.clone());
            }
        };
        let crawl = self.crawldb.amend_crawl(id, approve).await?;
        if crawl.orphans.approval.as_ref() != Some(&approval) {
            let refused = format!("crawl {id} is not blocked; there is nothing to approve");
            return Err(LedgerError::Refused(refused));
        }
        Ok(crawl)
    }
}

fn shortened(text: &str, max_bytes: usize) -> String {
    text[..text.floor_char_boundary(max_bytes)].to_owned()
}
