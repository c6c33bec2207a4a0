//! What an incremental crawl looks at, so that it costs what has changed and not what there is.
//!
//! | source | looked at |
//! |---|---|
//! | site | start URLs; sitemap entries that say that they changed since the last crawl; pages that the source does not have, where a page that changed links to them |
//! | bucket, folder | what is listed with another entity tag, or a later time, than the source has |
//!
//! So a page of a site that changes without its sitemap saying so waits for the next full crawl, and so does whatever is
//! gone: an incremental crawl never takes anything for gone. Before the first crawl was completed, everything has changed.

use std::time::Duration;

use crawldb::{Crawl, CrawlKind, CrawlStatus, CrawldbError, Item, ItemState};
use model::{ItemId, Timestamp};
use retrieve::Entry;

use crate::run::{Found, Run, Shared};

/// Crawls among which the last one that was completed is looked for.
const MAX_CRAWLS: usize = 100;
/// Clocks differ, and many sitemaps name a day only.
const SLACK: Duration = Duration::from_secs(24 * 3_600);

/// Whether the run looks only at what has changed.
pub(crate) fn is_incremental(run: &Run) -> bool {
    run.crawl.kind == CrawlKind::Incremental
}

/// What changed before this is known; none where everything is looked at.
pub(crate) async fn known_until(shared: &Shared, run: &Run) -> Result<Option<Timestamp>, CrawldbError> {
    if !is_incremental(run) {
        return Ok(None);
    }
    let crawls = shared
        .deps
        .ledger
        .crawldb()
        .crawls(Some(&run.source.id), MAX_CRAWLS)
        .await?;
    let is_complete = |crawl: &&Crawl| matches!(crawl.status, CrawlStatus::Completed | CrawlStatus::Blocked);
    let last = crawls.iter().find(is_complete);
    Ok(last.map(|crawl| crawl.started_at.before(SLACK)))
}

/// Of pages that were found, those that the crawl looks at: of linked ones only those that the source does not have.
pub(crate) async fn unknown(
    shared: &Shared,
    run: &Run,
    found: Vec<Found>,
) -> Result<Vec<Found>, CrawldbError> {
    if !is_incremental(run) {
        return Ok(found);
    }
    let is_linked = |found: &Found| found.sighting.parent.is_some() && found.sighting.alias.is_none();
    let (linked, mut chosen): (Vec<Found>, Vec<Found>) = found.into_iter().partition(is_linked);
    let stored = stored(shared, run, linked.iter()).await?;
    let unknown = linked
        .into_iter()
        .zip(stored)
        .filter(|(_, stored)| stored.is_none());
    chosen.extend(unknown.map(|(found, _)| found));
    Ok(chosen)
}

/// Of objects that are listed, those that the crawl looks at.
pub(crate) async fn changed(
    shared: &Shared,
    run: &Run,
    listed: Vec<(Found, Entry)>,
) -> Result<Vec<(Found, Entry)>, CrawldbError> {
    let Some(known_until) = known_until(shared, run).await? else {
        return Ok(listed);
    };
    let stored = stored(shared, run, listed.iter().map(|(found, _)| found)).await?;
    let differs = |((_, entry), stored): &((Found, Entry), Option<Item>)| {
        !stored
            .as_ref()
            .is_some_and(|item| is_same(item, entry, known_until))
    };
    let changed = listed.into_iter().zip(stored).filter(differs);
    Ok(changed.map(|(listed, _)| listed).collect())
}

/// Whether the source has the object as it is listed. What was never read, because its kind or size was enough to know,
/// has no entity tag.
fn is_same(item: &Item, entry: &Entry, known_until: Timestamp) -> bool {
    let is_settled = matches!(
        item.state,
        ItemState::Success | ItemState::Unchanged | ItemState::Ignored
    );
    let is_old = || {
        entry
            .last_modified
            .is_some_and(|at| Timestamp::from(at) < known_until)
    };
    is_settled
        && if item.etag.is_some() {
            item.etag == entry.etag
        } else {
            is_old()
        }
}

async fn stored<'a>(
    shared: &Shared,
    run: &Run,
    found: impl Iterator<Item = &'a Found>,
) -> Result<Vec<Option<Item>>, CrawldbError> {
    let ids: Vec<ItemId> = found.map(|found| found.sighting.id.clone()).collect();
    Ok(shared
        .deps
        .ledger
        .crawldb()
        .store()
        .get_items(&run.source.id, &ids)
        .await?)
}
