//! Leases of a crawl that somebody else holds, or held.

use crawldb::{Crawldb, CrawldbError, Finished, Item, ItemState, Scan, transition};
use model::{CrawlId, ItemId, SourceId, Timestamp};

/// Items that one look reads at most.
const PAGE: usize = 1_000;

/// The items of the crawl that are leased, as far as they are `chosen`.
pub(crate) async fn leased(
    crawldb: &Crawldb,
    crawl: &CrawlId,
    chosen: impl Fn(&Item) -> bool + Sync,
) -> Result<Vec<Item>, CrawldbError> {
    crawldb.store().refresh().await?;
    let source = crawl.source();
    let mut leased = Vec::new();
    let mut after: Option<ItemId> = None;
    loop {
        let page = crawldb
            .items(&Scan {
                states: &[ItemState::InFlight],
                crawl: Some(crawl),
                after: after.as_ref(),
                ..Scan::all(&source, PAGE)
            })
            .await?;
        let Some(last) = page.last() else {
            return Ok(leased);
        };
        after = Some(last.id.clone());
        leased.extend(page.into_iter().filter(|item| chosen(item)));
    }
}

/// Takes the leases away: the items are due at once. One that was finished or claimed anew meanwhile is left alone.
pub(crate) async fn release(
    crawldb: &Crawldb,
    source: &SourceId,
    items: &[Item],
    now: Timestamp,
) -> Result<u64, CrawldbError> {
    let mut released = 0;
    for page in items.chunks(PAGE) {
        let ids: Vec<ItemId> = page.iter().map(|item| item.id.clone()).collect();
        let free = |at: usize, stored: Option<&Item>| {
            stored
                .filter(|stored| stored.epoch == page[at].epoch)
                .and_then(|stored| transition::release(stored, now))
                .map_or_else(|| Finished::Stale(page[at].id.clone()), Finished::Released)
        };
        let finished = crawldb.change_items(source, &ids, free).await?;
        released += finished
            .iter()
            .filter(|finished| finished.item().is_some())
            .count() as u64;
    }
    Ok(released)
}

/// Whether `owner` is not who holds the lease.
pub(crate) fn is_foreign(item: &Item, owner: &str) -> bool {
    item.lease.as_ref().is_none_or(|lease| lease.owner != owner)
}
