//! What the sources really hold: pages that come, change, go, and fail for a while.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crawldb::testkit::sample_settings;
use crawldb::{
    Disposition, Item, ItemError, ItemErrorKind, OrphanPolicy, Outcome, RetryPolicy, Settings, Sighting,
};
use model::{ArchiveKey, Checksum, ItemId, PageUrl, SourceId, Timestamp};
use updates::{LiveChange, LiveUpdate};

use crate::dice::Dice;

const VALID: &str = "what the simulation makes up is valid";
const HOSTS: [&str; 2] = ["a.example", "b.example"];

/// One source as it is.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) id: SourceId,
    pub(crate) pages: Vec<Page>,
    /// Until when listing a host fails.
    listing_fails: BTreeMap<String, u64>,
    /// Of a thousand changes, so many are told.
    tells: u64,
    /// Whether it can be asked for single items.
    verifies: bool,
    /// What is still to be told, oldest first.
    pub(crate) outbox: VecDeque<LiveUpdate>,
    pub(crate) retry: RetryPolicy,
    pub(crate) orphans: OrphanPolicy,
}

#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) id: ItemId,
    pub(crate) url: PageUrl,
    pub(crate) scope: String,
    /// The one page that links to it; none where the listing names it.
    pub(crate) parent: Option<usize>,
    /// What it says; none where it is not there.
    pub(crate) content: Option<u32>,
    fails: Option<Failing>,
    /// Whether it was there once and then was not.
    pub(crate) has_left: bool,
    /// Whether it was not there at the beginning.
    came_later: bool,
}

#[derive(Clone, Copy, Debug)]
struct Failing {
    until: u64,
    retryable: bool,
}

/// The reference's fields that follow from what a page says.
pub(crate) fn checksum_of(content: u32) -> Checksum {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&content.to_be_bytes());
    Checksum::from_bytes(bytes)
}

pub(crate) fn extract_of(content: u32) -> ArchiveKey {
    ArchiveKey::new(format!("extract/{content}")).expect(VALID)
}

/// What reading this content comes to.
pub(crate) fn applied(content: u32) -> Outcome {
    Outcome::Applied {
        checksum: Some(checksum_of(content)),
        disposition: Disposition::Indexed,
        content: Some(ArchiveKey::new(format!("content/{content}")).expect(VALID)),
        extract: Some(extract_of(content)),
        etag: Some(content.to_string()),
        last_modified: None,
    }
}

impl Site {
    pub(crate) fn new(name: &str, dice: &mut Dice) -> Self {
        let count = dice.between(3, 6) as usize;
        let shared = dice.between(1, 2) as usize;
        let pages = (0..count).map(|number| {
            // The first pages have the same addresses in every source.
            let owner = if number < shared { "shared" } else { name };
            Page::new(owner, number, dice)
        });
        Self {
            id: SourceId::new(name).expect(VALID),
            pages: pages.collect(),
            listing_fails: BTreeMap::new(),
            tells: [0, 500, 1_000][dice.index(3)],
            verifies: dice.chance(300),
            outbox: VecDeque::new(),
            retry: RetryPolicy {
                max_retries: dice.below(3) as u32,
                initial_ms: 1_000,
                max_ms: 8_000,
                multiplier: 2.0,
            },
            orphans: OrphanPolicy {
                grace_crawls: dice.between(1, 2) as u32,
                grace_ms: [0, 20_000][dice.index(2)],
                guard_percent: 34.0,
                guard_items: dice.below(2),
                min_seen_percent: 50.0,
                ..OrphanPolicy::default()
            },
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            retry: self.retry.clone(),
            orphans: self.orphans.clone(),
            ..sample_settings(self.id.as_str())
        }
    }

    /// Whether every change is told.
    pub(crate) fn tells_all(&self) -> bool {
        self.tells == 1_000
    }

    pub(crate) fn page(&self, id: &ItemId) -> Option<&Page> {
        self.pages.iter().find(|page| page.id == *id)
    }

    fn position(&self, id: &ItemId) -> Option<usize> {
        self.pages.iter().position(|page| page.id == *id)
    }

    /// Whether the page, and every page on the way to it, is there.
    pub(crate) fn is_reachable(&self, page: &Page) -> bool {
        self.way(page).all(|page| page.content.is_some())
    }

    /// Whether it never left, and every page on the way to it was there all the time.
    pub(crate) fn never_left(&self, page: &Page) -> bool {
        !page.has_left
            && self
                .way(page)
                .skip(1)
                .all(|page| !page.has_left && !page.came_later)
    }

    /// Parents have smaller numbers than their children, so the way ends.
    fn way<'a>(&'a self, page: &'a Page) -> impl Iterator<Item = &'a Page> {
        std::iter::successors(Some(page), |page| page.parent.map(|parent| &self.pages[parent]))
    }

    /// What the listing of a host names, unless it fails.
    pub(crate) fn list(&self, host: &str, now: u64) -> Option<Vec<Sighting>> {
        if self.listing_fails.get(host).is_some_and(|until| *until > now) {
            return None;
        }
        let named = |page: &&Page| page.parent.is_none() && page.scope == host && page.content.is_some();
        let sighting = |page: &Page| page.sighting(None, 0);
        Some(self.pages.iter().filter(named).map(sighting).collect())
    }

    /// The pages that a page links to, whether they are there or not.
    pub(crate) fn links(&self, id: &ItemId) -> Vec<Sighting> {
        let Some(at) = self.position(id) else {
            return Vec::new();
        };
        let linked = self.pages.iter().filter(|page| page.parent == Some(at));
        linked.map(|page| page.sighting(Some(id.clone()), 1)).collect()
    }

    /// What the source answers to one request at this moment.
    pub(crate) fn answer(&self, id: &ItemId, etag: Option<&str>, now: u64) -> Outcome {
        let Some(page) = self.page(id) else {
            return gone();
        };
        match (page.fails.filter(|fails| fails.until > now), page.content) {
            (Some(fails), _) => Outcome::Failed {
                error: ItemError {
                    kind: ItemErrorKind::Server,
                    message: "503".into(),
                    at: Timestamp::from_millis(now),
                },
                retry_after: None,
                retryable: fails.retryable,
            },
            (None, None) => gone(),
            (None, Some(content)) if etag == Some(content.to_string().as_str()) => Outcome::Unchanged {
                etag: etag.map(str::to_owned),
                last_modified: None,
            },
            (None, Some(content)) => applied(content),
        }
    }

    pub(crate) fn verifies(&self) -> bool {
        self.verifies
    }

    /// One thing happens.
    pub(crate) fn change(&mut self, dice: &mut Dice, now: u64) -> String {
        let at = dice.index(self.pages.len());
        match dice.below(12) {
            0 => {
                let host = HOSTS[dice.index(HOSTS.len())];
                let until = now + dice.between(1_000, 40_000);
                self.listing_fails.insert(host.to_owned(), until);
                format!("{}: listing {host} fails until {until}", self.id)
            }
            1 | 2 => {
                let fails = Failing {
                    until: now + dice.between(1_000, 30_000),
                    retryable: dice.chance(700),
                };
                self.pages[at].fails = Some(fails);
                format!("{}: {} fails: {fails:?}", self.id, self.pages[at].id)
            }
            3 | 4 => self.put(at, None, dice, now),
            _ => {
                let content = at as u32 * 10 + dice.below(4) as u32;
                self.put(at, Some(content), dice, now)
            }
        }
    }

    fn put(&mut self, at: usize, content: Option<u32>, dice: &mut Dice, now: u64) -> String {
        let page = &mut self.pages[at];
        if page.content == content {
            return format!("{}: {} stays", self.id, page.id);
        }
        page.has_left |= page.content.is_some() && content.is_none();
        page.content = content;
        let is_told = dice.chance(self.tells);
        if is_told {
            let update = page.update(dice, now);
            self.outbox.push_back(update);
        }
        let told = if is_told { "told" } else { "not told" };
        format!("{}: {} is {content:?} ({told})", self.id, self.pages[at].id)
    }

    /// Nothing fails any more.
    pub(crate) fn heal(&mut self) {
        self.listing_fails.clear();
        for page in &mut self.pages {
            page.fails = None;
        }
    }

    pub(crate) fn hosts() -> &'static [&'static str] {
        &HOSTS
    }
}

fn gone() -> Outcome {
    Outcome::Gone { reason: "404".into() }
}

impl Page {
    fn new(owner: &str, number: usize, dice: &mut Dice) -> Self {
        let scope = HOSTS[number % HOSTS.len()].to_owned();
        let url = PageUrl::parse(&format!("https://{scope}/{owner}/{number}")).expect(VALID);
        let content = dice.chance(800).then_some(number as u32 * 10);
        Self {
            id: ItemId::new(url.as_str()).expect(VALID),
            url,
            scope,
            parent: (number >= 2 && dice.chance(500)).then(|| dice.index(number)),
            content,
            fails: None,
            has_left: false,
            came_later: content.is_none(),
        }
    }

    fn sighting(&self, parent: Option<ItemId>, depth: u32) -> Sighting {
        Sighting {
            id: self.id.clone(),
            url: self.url.clone(),
            scope: self.scope.clone(),
            parent,
            depth,
            alias: None,
        }
    }

    fn update(&self, dice: &mut Dice, now: u64) -> LiveUpdate {
        let change = match self.content {
            None => LiveChange::Delete,
            Some(_) if dice.chance(700) => LiveChange::Fetch,
            Some(content) => LiveChange::Upsert {
                content: ArchiveKey::new(format!("content/{content}")).expect(VALID),
                media_type: None,
            },
        };
        LiveUpdate {
            item: self.id.clone(),
            url: self.url.clone(),
            at: Some(Timestamp::from_millis(now)),
            change,
        }
    }
}

/// What an archived content says: the opposite of [`applied`].
pub(crate) fn content_of(key: &ArchiveKey) -> u32 {
    let number = key
        .as_str()
        .rsplit('/')
        .next()
        .and_then(|number| number.parse().ok());
    number.expect(VALID)
}

/// What the item is known to be, as the outcome of an attempt that found it so.
pub(crate) fn as_known(item: &Item) -> Outcome {
    match &item.content {
        Some(content) => applied(content_of(content)),
        None => gone(),
    }
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
