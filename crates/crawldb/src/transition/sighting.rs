//! What a crawl finds.

use model::{ItemId, PageUrl, Timestamp, Version};

use super::{make_due, orphan, version_of};
use crate::records::{Crawl, Item, ItemState, Revision, Scope};

/// Aliases that an item keeps at most; the oldest goes first.
pub const MAX_ALIASES: usize = 20;

/// An item that a crawl found: in a sitemap, a link, a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The item.
    pub id: ItemId,
    /// Where it is.
    pub url: PageUrl,
    /// The scope that it belongs to, the host for web items; must not change over the life of an item.
    pub scope: Scope,
    /// The item whose content named it.
    pub parent: Option<ItemId>,
    /// Links from a start URL.
    pub depth: u32,
    /// An item that redirects to it or names it as canonical.
    pub alias: Option<ItemId>,
}

/// What a sighting meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The item was never seen before; it is now due.
    New,
    /// Older crawls knew it; it is now due for this one.
    Again,
    /// This crawl had seen it already.
    Known,
}

/// What `sighting` makes of the item as stored; no item where there is nothing to write.
pub fn sight(
    stored: Option<&Item>,
    sighting: &Sighting,
    crawl: &Crawl,
    now: Timestamp,
) -> (Seen, Option<Item>) {
    match stored {
        None => (Seen::New, Some(first_seen(sighting, crawl, now))),
        Some(item) if item.seen_crawl_at >= crawl.started_at => (Seen::Known, merged(item, sighting)),
        Some(item) if item.version > version_of(crawl) => {
            (Seen::Known, Some(passed_by(item, sighting, crawl)))
        }
        Some(item) if item.state == ItemState::Ignored => (Seen::Known, Some(met(item, sighting, crawl))),
        Some(item) => {
            let mut item = met(item, sighting, crawl);
            make_due(&mut item, now);
            (Seen::Again, Some(item))
        }
    }
}

/// An item with a version that the crawl cannot beat, so it must not have to process it. What is still to be done about
/// it stays with whoever does it.
fn passed_by(item: &Item, sighting: &Sighting, crawl: &Crawl) -> Item {
    let mut seen = met(item, sighting, crawl);
    if item.state.is_open() {
        seen.crawl = item.crawl.clone();
        seen.configuration = item.configuration;
        seen.retry_count = item.retry_count;
    }
    if matches!(item.state, ItemState::OrphanCandidate | ItemState::Deleting) {
        seen.state = orphan::state_if_present(item);
    }
    seen
}

fn first_seen(sighting: &Sighting, crawl: &Crawl, now: Timestamp) -> Item {
    Item {
        source: crawl.id.source(),
        id: sighting.id.clone(),
        url: sighting.url.clone(),
        scope: sighting.scope.clone(),
        state: ItemState::Pending,
        version: Version::NONE,
        revision: Revision::NEW,
        crawl: crawl.id.clone(),
        configuration: crawl.configuration,
        seen_crawl_at: crawl.started_at,
        first_seen_at: crawl.started_at,
        last_updated: None,
        next_attempt_at: now,
        lease: None,
        epoch: 0,
        retry_count: 0,
        consecutive_failures: 0,
        last_error: None,
        checksum: None,
        disposition: None,
        content: None,
        extract: None,
        etag: None,
        last_modified: None,
        parent: sighting.parent.clone(),
        depth: sighting.depth,
        aliases: sighting.alias.iter().cloned().collect(),
        orphan: None,
        ruling: None,
        unread: None,
    }
}

/// The item as one of this crawl. Content, checksum, version and validators stay: they say what was known before.
fn met(item: &Item, sighting: &Sighting, crawl: &Crawl) -> Item {
    let mut item = merged(item, sighting).unwrap_or_else(|| item.clone());
    item.crawl = crawl.id.clone();
    item.configuration = crawl.configuration;
    item.seen_crawl_at = crawl.started_at;
    item.depth = sighting.depth;
    item.parent = sighting.parent.clone().or(item.parent);
    item.retry_count = 0;
    item.orphan = None;
    item
}

/// The item with the shorter way to it and the new alias; none where it knew both.
fn merged(item: &Item, sighting: &Sighting) -> Option<Item> {
    let alias = sighting
        .alias
        .as_ref()
        .filter(|alias| !item.aliases.contains(alias));
    if alias.is_none() && sighting.depth >= item.depth {
        return None;
    }
    let mut item = item.clone();
    if sighting.depth < item.depth {
        item.depth = sighting.depth;
        item.parent = sighting.parent.clone().or(item.parent);
    }
    item.aliases.extend(alias.cloned());
    if item.aliases.len() > MAX_ALIASES {
        item.aliases.remove(0);
    }
    Some(item)
}
