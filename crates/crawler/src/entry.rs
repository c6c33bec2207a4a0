//! Where a crawl enters a source, and whether that led anywhere.

use crawldb::{CrawldbError, Disposition, Item, ItemState, Scan};
use model::ItemId;

use crate::bucket::BucketAddress;
use crate::incremental::is_incremental;
use crate::run::{Run, Shared, item_id};

/// Aliases that are followed from a start URL to a page.
const MAX_HOPS: usize = 10;

/// Why the crawl failed, where nothing came of it. A start URL that failed beside others that did not protects its host.
pub(crate) async fn fruitless(shared: &Shared, run: &Run) -> Result<Option<String>, CrawldbError> {
    match &run.bucket {
        Some(bucket) => no_object_fetched(shared, run, bucket.address()).await,
        None => no_start_fetched(shared, run).await,
    }
}

/// Why the crawl failed, where the bucket has no objects or not one of them could be fetched.
async fn no_object_fetched(
    shared: &Shared,
    run: &Run,
    bucket: &BucketAddress,
) -> Result<Option<String>, CrawldbError> {
    let (crawldb, crawl) = (shared.deps.ledger.crawldb(), &run.crawl.id);
    let totals = crawldb.totals(crawl).await?;
    if totals.seen == 0 && is_incremental(run) {
        return Ok(None);
    }
    if totals.seen == 0 {
        return Ok(Some(format!(
            "{bucket} holds no objects that belong to the source"
        )));
    }
    if totals.escalated < totals.seen {
        return Ok(None);
    }
    let scan = Scan {
        states: &[ItemState::Escalated],
        crawl: Some(crawl),
        ..Scan::all(&run.source.id, 1)
    };
    let items = crawldb.items(&scan).await?;
    let why = items.first().and_then(failure).unwrap_or_default();
    Ok(Some(format!("no object could be fetched: {why}")))
}

/// Why the crawl failed, where not one start URL led to a page.
async fn no_start_fetched(shared: &Shared, run: &Run) -> Result<Option<String>, CrawldbError> {
    let mut failed = Vec::new();
    let mut is_fruitful = false;
    for start in &run.source.settings.site.start {
        let Some(item) = end_of(shared, run, item_id(start)).await? else {
            continue;
        };
        match failure(&item) {
            None => is_fruitful = true,
            Some(why) => failed.push((item, why)),
        }
    }
    if !is_fruitful {
        let reason = failed
            .first()
            .map(|(item, why)| format!("no start URL could be fetched: {}: {why}", item.url));
        return Ok(reason.or_else(|| Some("there is no start URL".to_owned())));
    }
    for (item, why) in &failed {
        run.incomplete(
            &item.scope,
            format!("the start URL {} could not be fetched: {why}", item.url),
        );
    }
    Ok(None)
}

/// The item that this one leads to, by redirects and canonical addresses.
async fn end_of(shared: &Shared, run: &Run, id: ItemId) -> Result<Option<Item>, CrawldbError> {
    let (crawldb, source) = (shared.deps.ledger.crawldb(), &run.source.id);
    let mut item = crawldb.item(source, &id).await?;
    for _ in 0..MAX_HOPS {
        let Some(Disposition::Alias(next)) = item.as_ref().and_then(|item| item.disposition.clone()) else {
            break;
        };
        match crawldb.item(source, &next).await? {
            Some(target) => item = Some(target),
            None => break,
        }
    }
    Ok(item)
}

fn failure(item: &Item) -> Option<String> {
    if item.disposition == Some(Disposition::Disallowed) {
        return Some("robots.txt disallows it".to_owned());
    }
    if matches!(item.state, ItemState::Success | ItemState::Unchanged) {
        return None;
    }
    let error = item.last_error.as_ref();
    Some(error.map_or_else(|| "it was not fetched".to_owned(), |error| error.message.clone()))
}
