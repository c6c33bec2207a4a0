//! Remembers which URLs a crawl has met, so that links to known pages cost no question to the database.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use model::PageUrl;
use rustc_hash::{FxBuildHasher, FxHashMap};

/// A 128-bit name of a URL: two keyed hashes that nobody outside can aim at.
pub(crate) type Fingerprint = u128;

/// Makes fingerprints; cheap to copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fingerprinter {
    high: RandomState,
    low: RandomState,
}

impl Fingerprinter {
    pub(crate) fn of(&self, url: &str) -> Fingerprint {
        (u128::from(self.high.hash_one(url)) << 64) | u128::from(self.low.hash_one(url))
    }
}

/// A set that forgets the oldest half when it is full: whoever is forgotten is only asked for again.
#[derive(Debug)]
pub(crate) struct Met {
    young: HashSet<Fingerprint, FxBuildHasher>,
    old: HashSet<Fingerprint, FxBuildHasher>,
    half: usize,
}

impl Met {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            young: HashSet::default(),
            old: HashSet::default(),
            half: capacity.div_ceil(2).max(1),
        }
    }

    pub(crate) fn contains(&self, url: Fingerprint) -> bool {
        self.young.contains(&url) || self.old.contains(&url)
    }

    pub(crate) fn insert(&mut self, url: Fingerprint) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(url);
    }
}

/// Paths whose queries are counted at most; beyond, the counts begin anew.
const MAX_COUNTED_PATHS: usize = 1_000_000;

/// Counts the queries of every path: the trap of endless calendars and filters.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    of_path: FxHashMap<Fingerprint, u32>,
}

impl Queries {
    /// Counts the URL, if it has a query, unless its path has `max` already.
    pub(crate) fn admit(&mut self, prints: &Fingerprinter, url: &PageUrl, max: u32) -> bool {
        if url.query().is_none() {
            return true;
        }
        if self.of_path.len() >= MAX_COUNTED_PATHS {
            self.of_path.clear();
        }
        let path = prints.of(&url.as_url()[..url::Position::AfterPath]);
        let count = self.of_path.entry(path).or_default();
        *count = count.saturating_add(1);
        *count <= max
    }
}
