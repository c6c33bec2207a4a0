//! What a crawl missed, page by page.

use crawldb::transition::orphan::is_missed;
use crawldb::{Crawl, Crawldb, Item, ItemState, Scan};
use model::{ItemId, SourceId};

use crate::LedgerError;
use crate::write::MAX_ITEMS;

/// Items in these states are not being worked on, and not gone. Some that wait are what a crawl left that did not end
/// well.
const STATES: [ItemState; 8] = [
    ItemState::Pending,
    ItemState::Failure,
    ItemState::Success,
    ItemState::Unchanged,
    ItemState::Escalated,
    ItemState::Ignored,
    ItemState::OrphanCandidate,
    ItemState::Deleting,
];

/// Reads what the crawl missed, in the order of the ids.
pub(super) struct Missed<'a> {
    crawldb: &'a Crawldb,
    crawl: &'a Crawl,
    source: SourceId,
    after: Option<ItemId>,
}

impl<'a> Missed<'a> {
    pub(super) fn new(crawldb: &'a Crawldb, crawl: &'a Crawl) -> Self {
        Self {
            crawldb,
            crawl,
            source: crawl.id.source(),
            after: None,
        }
    }

    /// The next page, which may be empty; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Item>>, LedgerError> {
        let scan = Scan {
            states: &STATES,
            missed_by: Some(self.crawl.started_at),
            after: self.after.as_ref(),
            ..Scan::all(&self.source, MAX_ITEMS)
        };
        let mut page = self.crawldb.items(&scan).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        self.after = Some(last.id.clone());
        page.retain(|item| is_missed(item, self.crawl));
        Ok(Some(page))
    }
}
