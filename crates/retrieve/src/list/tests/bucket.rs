//! A bucket in memory, whose pages take time.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Error;
use crate::list::{Listed, Page, Pages};

/// Keys in key order; what it answers is what it holds when the answer is due.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) keys: Mutex<BTreeSet<String>>,
    pub(super) prefix: String,
    latency: Latency,
    requests: AtomicUsize,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Latency {
    Fixed(Duration),
    /// Another one for each request, drawn from what it asks for.
    Drawn(u64),
}

impl Bucket {
    pub(super) fn new(keys: impl IntoIterator<Item = String>, prefix: &str, latency: Latency) -> Self {
        Self {
            keys: Mutex::new(keys.into_iter().collect()),
            prefix: prefix.to_owned(),
            latency,
            requests: AtomicUsize::new(0),
        }
    }

    /// The keys that a listing must find.
    pub(super) fn listed(&self) -> Vec<String> {
        let keys = self.keys.lock().unwrap();
        keys.iter()
            .filter(|key| key.starts_with(&self.prefix))
            .cloned()
            .collect()
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    fn answer(&self, start_after: &str, max: usize) -> Page {
        let keys = self.keys.lock().unwrap();
        let from = match self.prefix.as_str() {
            prefix if start_after < prefix => Bound::Included(prefix.to_owned()),
            _ if start_after.is_empty() => Bound::Unbounded,
            _ => Bound::Excluded(start_after.to_owned()),
        };
        let mut rest = keys
            .range((from, Bound::Unbounded))
            .take_while(|key| key.starts_with(&self.prefix));
        let entries = rest.by_ref().take(max).map(|key| listed(key)).collect();
        Page {
            entries,
            more: rest.next().is_some(),
        }
    }
}

fn listed(key: &str) -> Listed {
    Listed {
        key: key.to_owned(),
        ..Listed::default()
    }
}

#[async_trait]
impl Pages for Bucket {
    async fn page(&self, start_after: &str, max: usize) -> Result<Page, Error> {
        assert!(!start_after.contains('\0'), "{start_after:?}");
        self.requests.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(self.latency.of(start_after)).await;
        Ok(self.answer(start_after, max))
    }
}

impl Latency {
    fn of(self, start_after: &str) -> Duration {
        match self {
            Self::Fixed(latency) => latency,
            Self::Drawn(seed) => Duration::from_millis(
                mix(seed ^ start_after.bytes().map(u64::from).fold(7, |a, b| mix(a ^ b))) % 100,
            ),
        }
    }
}

/// A number that looks drawn (SplitMix64).
pub(super) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
