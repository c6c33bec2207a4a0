//! What the log is told of items, made from their records alone.

use crawldb::{Finished, Item, ItemState, Reference};
use model::{CrawlId, ItemId, PageUrl};
use updates::{
    Applied, Change, CrawlRequest, Entry, Escalated, LiveChange, LiveUpdate, Receipt, ReceiptOutcome,
};

/// What the item brings, and to which document.
pub(crate) fn reference(item: &Item) -> (PageUrl, Reference) {
    (item.url.clone(), Reference::of(item))
}

/// What the readers of `applied` learn: the content that the item has, or that it has none.
pub(crate) fn applied(item: &Item) -> Entry<Applied> {
    let change = match Reference::of(item).body {
        Some(body) => Change::Upsert {
            url: item.url.clone(),
            checksum: body.checksum,
            extract: body.extract,
        },
        None => Change::Delete {
            url: Some(item.url.clone()),
        },
    };
    let applied = Applied {
        source: item.source.clone(),
        item: item.id.clone(),
        crawl: item.crawl.clone(),
        version: item.version,
        write: item.revision.0,
        host: item.url.host(),
        at: item.last_updated.unwrap_or_default(),
        change,
    };
    Entry {
        key: item.id.to_string(),
        scope: item.scope.clone(),
        value: Some(applied),
    }
}

/// What people learn of an item that is escalated; that it no longer is, where somebody decided about it.
pub(crate) fn escalated(item: &Item) -> Option<Entry<Escalated>> {
    let value = (item.state == ItemState::Escalated).then(|| Escalated {
        item: item.id.clone(),
        url: item.url.clone(),
        crawl: item.crawl.clone(),
        retry_count: item.retry_count,
        consecutive_failures: item.consecutive_failures,
        error: item
            .last_error
            .as_ref()
            .map(|error| error.message.clone())
            .unwrap_or_default(),
        at: item.last_error.as_ref().map(|error| error.at).unwrap_or_default(),
    });
    let was_escalated = item.ruling.is_some();
    (value.is_some() || was_escalated).then(|| Entry {
        key: item.id.to_string(),
        scope: item.scope.clone(),
        value,
    })
}

/// What a reader of `applied` need not know any more: its deletion was told of long ago.
pub(crate) fn forgotten(item: &Item) -> Entry<Applied> {
    Entry {
        key: item.id.to_string(),
        scope: item.scope.clone(),
        value: None,
    }
}

/// The scope of a live update is the host of its URL, whatever the scope of its item is.
pub(crate) fn told(update: &LiveUpdate) -> Entry<LiveUpdate> {
    Entry {
        key: update.item.to_string(),
        scope: update.url.host().to_string(),
        value: Some(update.clone()),
    }
}

/// Asks for the item once more.
pub(crate) fn fetch(item: &Item) -> Entry<LiveUpdate> {
    told(&LiveUpdate {
        item: item.id.clone(),
        url: item.url.clone(),
        at: None,
        change: LiveChange::Fetch,
    })
}

/// "Process this item for this crawl."
pub(crate) fn request(crawl: &CrawlId, item: &ItemId, scope: &str) -> Entry<CrawlRequest> {
    Entry {
        key: item.to_string(),
        scope: scope.to_owned(),
        value: Some(CrawlRequest {
            item: item.clone(),
            crawl: crawl.clone(),
        }),
    }
}

/// Nothing for what was only given back.
pub(crate) fn receipt(crawl: &CrawlId, finished: &Finished, scope: &str) -> Option<Entry<Receipt>> {
    let failure = |item: &Item| {
        let message = item.last_error.as_ref().map(|error| error.message.clone());
        ReceiptOutcome::Failure(message.unwrap_or_default())
    };
    let (item, outcome) = match finished {
        Finished::Applied { item, .. } | Finished::Unchanged(item) | Finished::Deleted { item, .. } => {
            (&item.id, ReceiptOutcome::Success)
        }
        Finished::Retry(item) | Finished::Escalated(item) => (&item.id, failure(item)),
        Finished::Stale(id) => (id, ReceiptOutcome::Stale),
        Finished::Released(_) => return None,
    };
    Some(Entry {
        key: item.to_string(),
        scope: scope.to_owned(),
        value: Some(Receipt {
            item: item.clone(),
            crawl: crawl.clone(),
            outcome,
        }),
    })
}
