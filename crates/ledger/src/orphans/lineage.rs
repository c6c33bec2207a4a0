//! Whether a missed item may only be hidden: behind a page above it that the crawl did not read.

use std::collections::{HashMap, HashSet};

use crawldb::transition::orphan::is_missed;
use crawldb::transition::version_of;
use crawldb::{Crawl, Crawldb, Decision, Disposition, Item, ItemState};
use model::{ItemId, Rank, Timestamp, Version};

use crate::LedgerError;
use crate::write::MAX_ITEMS;

/// Parents above an item that are looked at; what has more is protected.
const MAX_STEPS: u32 = 1_000;
/// Redirects one after the other that are followed at most, as a crawl does.
const MAX_HOPS: usize = 10;
/// Items whose standing is remembered from page to page.
const MAX_KNOWN: usize = 100_000;

/// What the crawl can say of what an item names. The worst one above an item counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Everything: the crawl read it, or it is gone or missed itself.
    Clear,
    /// Nothing for sure: it is there, as a live update, a person, or the source when it was asked has said, but maybe the
    /// crawl never read it. What seems missing below it goes on the word of the source alone.
    Overtaken,
    /// Nothing: it could not be read. It protects everything below it.
    Unread,
}

/// What the item's own record says of it, with respect to the crawl.
pub(super) fn standing(item: &Item, crawl: &Crawl) -> Standing {
    let since = crawl.started_at;
    let is_seen = item.seen_crawl_at >= since;
    let is_failed_since = item.last_error.as_ref().is_some_and(|error| error.at >= since);
    let is_told_since = item.version >= version_of(crawl) || item.last_updated.is_some_and(|at| at >= since);
    match item.state {
        ItemState::Deleted => Standing::Clear,
        state if state.is_open() && !is_missed(item, crawl) => Standing::Unread,
        // It may only be hidden, and so may be everything below it, whatever scope that is in.
        _ if !is_seen && crawl.enumeration.incomplete.contains_key(&item.scope) => Standing::Unread,
        ItemState::Escalated | ItemState::Ignored if is_failed_since => Standing::Unread,
        _ if is_told_since && !is_read(item, crawl) => Standing::Overtaken,
        _ if is_seen && !is_read(item, crawl) => Standing::Unread,
        // No crawl knows the way to it: it goes on the word of the source alone.
        _ if item.seen_crawl_at == Timestamp::default() => Standing::Overtaken,
        _ if is_kept(item) => Standing::Overtaken,
        _ => Standing::Clear,
    }
}

/// Whether a person said that the item is there, and no crawl saw it since.
fn is_kept(item: &Item) -> bool {
    let ruling = item.ruling.as_ref();
    ruling.is_some_and(|ruling| ruling.decision == Decision::Keep && item.seen_crawl_at <= ruling.at)
}

/// Whether the content is what this crawl, or a newer one beside it, fetched.
fn is_read(item: &Item, crawl: &Crawl) -> bool {
    let by_a_crawl = Version::new(item.version.at(), Rank::Crawl, 0);
    item.version == by_a_crawl && item.version >= version_of(crawl)
}

/// Where the item leads, by a redirect or its canonical address.
fn target(item: &Item) -> Option<ItemId> {
    match &item.disposition {
        Some(Disposition::Alias(target)) => Some(target.clone()),
        _ => None,
    }
}

/// The parents of missed items, read in batches and remembered.
pub(super) struct Lineage<'a> {
    crawldb: &'a Crawldb,
    crawl: &'a Crawl,
    known: HashMap<ItemId, Ancestor>,
}

struct Ancestor {
    standing: Standing,
    parent: Option<ItemId>,
}

impl<'a> Lineage<'a> {
    pub(super) fn new(crawldb: &'a Crawldb, crawl: &'a Crawl) -> Self {
        Self {
            crawldb,
            crawl,
            known: HashMap::new(),
        }
    }

    /// The worst standing above each of the items, in their order.
    pub(super) async fn above(&mut self, items: &[Item]) -> Result<Vec<Standing>, LedgerError> {
        if self.known.len() > MAX_KNOWN {
            self.known.clear();
        }
        let mut walks: Vec<Walk> = items.iter().map(Walk::from).collect();
        loop {
            for walk in &mut walks {
                walk.climb(&self.known);
            }
            let unknown: HashSet<&ItemId> = walks.iter().filter_map(|walk| walk.next.as_ref()).collect();
            if unknown.is_empty() {
                return Ok(walks.into_iter().map(|walk| walk.worst).collect());
            }
            let unknown: Vec<ItemId> = unknown.into_iter().cloned().collect();
            self.learn(unknown).await?;
        }
    }

    /// A parent that is not stored was never anything that could fail.
    async fn learn(&mut self, ids: Vec<ItemId>) -> Result<(), LedgerError> {
        let source = self.crawl.id.source();
        for ids in ids.chunks(MAX_ITEMS) {
            let stored = self.crawldb.store().get_items(&source, ids).await?;
            let mut aliases = Vec::new();
            for (id, item) in ids.iter().zip(stored) {
                aliases.extend(item.as_ref().and_then(target).map(|target| (id.clone(), target)));
                let ancestor = Ancestor {
                    standing: item
                        .as_ref()
                        .map_or(Standing::Clear, |item| standing(item, self.crawl)),
                    parent: item.and_then(|item| item.parent),
                };
                self.known.insert(id.clone(), ancestor);
            }
            self.follow(aliases).await?;
        }
        Ok(())
    }

    /// What a page names that leads elsewhere, the page there names: it stands as badly as the worst one on the way. One
    /// that leads on and on was not read.
    async fn follow(&mut self, mut aliases: Vec<(ItemId, ItemId)>) -> Result<(), LedgerError> {
        for _ in 0..MAX_HOPS {
            if aliases.is_empty() {
                return Ok(());
            }
            let (from, to): (Vec<ItemId>, Vec<ItemId>) = aliases.drain(..).unzip();
            let stored = self
                .crawldb
                .store()
                .get_items(&self.crawl.id.source(), &to)
                .await?;
            for (alias, item) in from.into_iter().zip(stored) {
                let Some(item) = item else { continue };
                self.worsen(&alias, standing(&item, self.crawl));
                aliases.extend(target(&item).map(|target| (alias, target)));
            }
        }
        for (alias, _) in aliases {
            self.worsen(&alias, Standing::Unread);
        }
        Ok(())
    }

    fn worsen(&mut self, id: &ItemId, standing: Standing) {
        if let Some(ancestor) = self.known.get_mut(id) {
            ancestor.standing = ancestor.standing.max(standing);
        }
    }
}

/// The way from an item to the root. Parents of several crawls may form a circle: it ends where it meets `anchor`, an
/// ancestor that is moved up at steps that are powers of two (R. P. Brent, 1980).
struct Walk {
    next: Option<ItemId>,
    anchor: Option<ItemId>,
    steps: u32,
    worst: Standing,
}

impl From<&Item> for Walk {
    fn from(item: &Item) -> Self {
        Self {
            next: item.parent.clone(),
            anchor: Some(item.id.clone()),
            steps: 0,
            worst: Standing::Clear,
        }
    }
}

impl Walk {
    /// Goes up as far as ancestors are known; `next` is the one that is needed to go on.
    fn climb(&mut self, known: &HashMap<ItemId, Ancestor>) {
        while let Some(current) = self.next.take() {
            let Some(ancestor) = known.get(&current) else {
                self.next = Some(current);
                return;
            };
            self.steps += 1;
            self.worst = self.worst.max(ancestor.standing);
            if self.steps >= MAX_STEPS {
                self.worst = Standing::Unread;
            }
            if self.worst == Standing::Unread || Some(&current) == self.anchor.as_ref() {
                return;
            }
            if self.steps.is_power_of_two() {
                self.anchor = Some(current);
            }
            self.next.clone_from(&ancestor.parent);
        }
    }
}
