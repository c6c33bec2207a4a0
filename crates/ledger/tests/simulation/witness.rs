//! Watches every write that a store takes, and says which properties it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crawldb::{Crawl, CrawlTotals, Document, IndexName, Item, ItemState};
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp, Version};

use crate::truth::{Site, content_of};
use crate::world::World;

pub(crate) type Key = (SourceId, ItemId);

pub(crate) struct Witness {
    world: Arc<World>,
    sites: Arc<Mutex<Vec<Site>>>,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    items: BTreeMap<Key, Known>,
    /// What was read for each version of an item; none where it was gone.
    read: BTreeMap<Key, BTreeMap<Version, BTreeSet<Option<u32>>>>,
    /// References that show something, by document.
    shown: BTreeMap<PageUrl, BTreeMap<Key, bool>>,
    /// Items whose reference was taken out of the index, or that became tombstones.
    withdrawn: BTreeSet<Key>,
    crawls: BTreeMap<CrawlId, Watched>,
}

#[derive(Default)]
struct Known {
    state: Option<ItemState>,
    version: Option<Version>,
    epoch: u64,
    holder: Option<String>,
    has_content: bool,
    requeued_at: Option<Timestamp>,
    escalated: BTreeSet<CrawlId>,
}

#[derive(Default)]
struct Watched {
    /// What a recount gave, at every moment since its end was begun.
    recounts: Vec<CrawlTotals>,
    is_approved: bool,
    is_blocked: bool,
    is_over: bool,
    /// Items that were alive at a time, at most, while it ran.
    alive: u64,
    deleted: u64,
}

impl Witness {
    pub(crate) fn new(world: Arc<World>, sites: Arc<Mutex<Vec<Site>>>) -> Self {
        Self {
            world,
            sites,
            notes: Mutex::default(),
        }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn max_retries(&self, source: &SourceId) -> u32 {
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let site = sites.iter().find(|site| site.id == *source);
        site.map_or(0, |site| site.retry.max_retries)
    }

    /// Somebody read an item and is about to write what it is under this version.
    pub(crate) fn read(&self, source: &SourceId, id: &ItemId, version: Version, content: Option<u32>) {
        let mut notes = self.notes();
        let versions = notes.read.entry((source.clone(), id.clone())).or_default();
        versions.entry(version).or_default().insert(content);
    }

    /// The store took this item.
    pub(crate) fn item(&self, item: &Item) {
        let max_retries = self.max_retries(&item.source);
        let key = (item.source.clone(), item.id.clone());
        let mut notes = self.notes();
        let mut found = Vec::new();
        found.extend(content_was_read(item, notes.read.get(&key)));
        notes.count_alive(&item.source);
        let known = notes.items.entry(key.clone()).or_default();
        found.extend(known.version_grows(item));
        found.extend(known.one_lease(item));
        found.extend(known.retries_end(item, max_retries));
        let before = known.state.replace(item.state);
        let had_content = std::mem::replace(&mut known.has_content, item.content.is_some());
        if had_content && item.content.is_none() {
            notes.withdrawn.insert(key);
        }
        if item.state == ItemState::Deleted && before != Some(ItemState::Deleted) {
            found.extend(notes.orphan_goes(item, self.guard(&item.source)));
        }
        drop(notes);
        for (property, what) in found {
            self.world.find(property, what);
        }
    }

    /// Part and number of items that a guard lets pass.
    fn guard(&self, source: &SourceId) -> (f64, u64) {
        let sites = self.sites.lock().unwrap_or_else(PoisonError::into_inner);
        let site = sites.iter().find(|site| site.id == *source);
        site.map_or((0.0, 0), |site| {
            (site.orphans.guard_percent, site.orphans.guard_items)
        })
    }

    /// The store took this document.
    pub(crate) fn document(&self, index: &IndexName, document: &Document) {
        if *index != IndexName::default() {
            return;
        }
        let mut notes = self.notes();
        let Notes { shown, withdrawn, .. } = &mut *notes;
        let shown = shown.entry(document.url.clone()).or_default();
        let mut lost: Vec<Key> = shown.keys().cloned().collect();
        for reference in &document.references {
            let key = (reference.source.clone(), reference.item.clone());
            lost.retain(|lost| *lost != key);
            let is_shown = reference.body.is_some();
            if shown.insert(key.clone(), is_shown) == Some(true) && !is_shown {
                withdrawn.insert(key);
            }
        }
        drop(notes);
        for (source, item) in lost {
            self.world.find(
                "I4",
                format!("document {} lost the reference of {source} {item}", document.url),
            );
        }
    }

    /// The store took this crawl.
    pub(crate) fn crawl(&self, crawl: &Crawl) {
        let mut notes = self.notes();
        let watched = notes.crawls.entry(crawl.id.clone()).or_default();
        watched.is_blocked = crawl.orphans.blocked.is_some();
        watched.is_approved |= crawl.orphans.approval.is_some();
        let ends = crawl.status.is_over() && !std::mem::replace(&mut watched.is_over, crawl.status.is_over());
        let counted = !ends || watched.recounts.is_empty() || watched.recounts.contains(&crawl.totals);
        let recounts = if counted {
            Vec::new()
        } else {
            watched.recounts.clone()
        };
        drop(notes);
        if !counted {
            let totals = crawl.totals;
            self.world.find(
                "I10",
                format!("crawl {} ends with {totals:?}; recounted: {recounts:?}", crawl.id),
            );
        }
    }

    /// The crawl is about to end: from now on every recount of its items may be its totals.
    pub(crate) fn ends(&self, crawl: &CrawlId, recount: CrawlTotals) {
        self.notes().crawls.entry(crawl.clone()).or_default().recounts = vec![recount];
    }

    /// Crawls of the source that are about to end.
    pub(crate) fn ending(&self, source: &SourceId) -> Vec<CrawlId> {
        let notes = self.notes();
        let ending = notes.crawls.iter().filter(|(id, watched)| {
            !watched.is_over && !watched.recounts.is_empty() && id.source() == *source
        });
        ending.map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn recounted(&self, crawl: &CrawlId, totals: CrawlTotals) {
        self.notes()
            .crawls
            .entry(crawl.clone())
            .or_default()
            .recounts
            .push(totals);
    }

    pub(crate) fn withdrawn(&self) -> BTreeSet<Key> {
        self.notes().withdrawn.clone()
    }
}

type Found = Option<(&'static str, String)>;

fn rank_of(version: Version) -> u64 {
    (version.as_u64() >> 18) & 0b11
}

/// An item has the content that was read for its version.
fn content_was_read(item: &Item, read: Option<&BTreeMap<Version, BTreeSet<Option<u32>>>>) -> Found {
    if item.version == Version::NONE || rank_of(item.version) == 0 {
        return None;
    }
    let content = item.content.as_ref().map(content_of);
    let read = read.and_then(|read| read.get(&item.version));
    if read.is_some_and(|read| read.contains(&content)) {
        return None;
    }
    let what = format!(
        "{} {:?} has {content:?}; read for its version: {read:?}",
        item.id, item.version
    );
    Some(("I3", what))
}

impl Known {
    fn version_grows(&mut self, item: &Item) -> Found {
        let before = self.version.replace(item.version)?;
        (item.version < before).then(|| {
            (
                "I3",
                format!("{} went back from {before:?} to {:?}", item.id, item.version),
            )
        })
    }

    /// Every claim has an epoch of its own.
    fn one_lease(&mut self, item: &Item) -> Found {
        let lease = item.lease.as_ref()?;
        let is_same = lease.epoch == self.epoch && self.holder.as_ref() == Some(&lease.owner);
        let is_new = lease.epoch > self.epoch;
        let holder = self.holder.replace(lease.owner.clone());
        self.epoch = lease.epoch;
        let what = || {
            format!(
                "{} is leased to {holder:?} and {} in epoch {}",
                item.id, lease.owner, lease.epoch
            )
        };
        (!is_same && !is_new).then(|| ("I8", what()))
    }

    fn retries_end(&mut self, item: &Item, max_retries: u32) -> Found {
        let requeued_at = item.ruling.as_ref().map(|ruling| ruling.at);
        if requeued_at != self.requeued_at {
            self.requeued_at = requeued_at;
            self.escalated.clear();
        }
        if item.retry_count > max_retries + 1 {
            return Some((
                "I7",
                format!("{} failed {} times in {}", item.id, item.retry_count, item.crawl),
            ));
        }
        let escalates = item.state == ItemState::Escalated && self.state != Some(ItemState::Escalated);
        let again = escalates
            && item.crawl.started_at() != Timestamp::default()
            && !self.escalated.insert(item.crawl.clone());
        again.then(|| ("I7", format!("{} is escalated twice in {}", item.id, item.crawl)))
    }
}

impl Notes {
    /// The guard judged by the items that were alive at some moment of the crawl: no more than there ever were.
    fn count_alive(&mut self, source: &SourceId) {
        let is_alive =
            |((of, _), known): &(&Key, &Known)| of == source && known.state != Some(ItemState::Deleted);
        let alive = self.items.iter().filter(is_alive).count() as u64;
        for (crawl, watched) in &mut self.crawls {
            if !watched.is_over && crawl.source() == *source {
                watched.alive = watched.alive.max(alive);
            }
        }
    }

    /// What is deleted because a crawl missed it passed the guard.
    fn orphan_goes(&mut self, item: &Item, (percent, few): (f64, u64)) -> Found {
        if rank_of(item.version) != 0 {
            return None;
        }
        let crawl = CrawlId::at(&item.source, item.version.at());
        let watched = self.crawls.entry(crawl.clone()).or_default();
        watched.deleted += 1;
        let part = (watched.alive as f64 * percent / 100.0).floor() as u64;
        let passes = watched.is_approved || (!watched.is_blocked && watched.deleted <= part.max(few));
        let what = || {
            format!(
                "{} of {} items go for {crawl}, past the guard",
                watched.deleted, watched.alive
            )
        };
        (!passes).then(|| ("I9", what()))
    }
}
