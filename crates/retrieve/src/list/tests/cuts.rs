//! Whatever the keys, the delays and the changes meanwhile: no key is lost, doubled or out of order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::bucket::{Bucket, Latency, mix};
use crate::error::{Error, ErrorKind};
use crate::list::{Bounds, Listed, Listing, Page, Pages};

const BOUNDS: Bounds = Bounds {
    connections: 8,
    waiting: 200,
    page: 7,
};

/// A runtime whose time flies.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

/// The keys of a listing, and how it ended.
async fn list(pages: Arc<dyn Pages>, prefix: &str, bounds: Bounds) -> (Vec<String>, Result<(), Error>) {
    let mut listing = Listing::start(pages, prefix, bounds);
    let mut found = Vec::new();
    while let Some(page) = listing.next().await {
        match page {
            Ok(page) => {
                assert!(!page.is_empty());
                found.extend(page.into_iter().map(|listed| listed.key));
            }
            Err(error) => return (found, Err(error)),
        }
    }
    (found, Ok(()))
}

fn check(keys: BTreeSet<String>, prefix: &str, bounds: Bounds, seed: u64) {
    let bucket = Arc::new(Bucket::new(keys, prefix, Latency::Drawn(seed)));
    let (found, ended) = runtime().block_on(list(Arc::clone(&bucket) as _, prefix, bounds));
    ended.unwrap();
    assert_eq!(found, bucket.listed());
    let (pages, requests) = (found.len() / bounds.page + 1, bucket.requests());
    assert!(
        requests <= 4 * pages + 4 + bounds.connections,
        "{requests} requests for {pages} pages"
    );
}

/// Texts of all kinds that keys are made of.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[0-9]{1,6}",
        4 => "[0-9a-f]{4}",
        2 => "[a-c/]{0,8}",
        2 => "202[34]/[01][0-9]/[0-3][0-9]/[a-z]{3}",
        2 => "[a-b\u{10ffff}\u{d7ff}\u{e000}\u{fffd}]{1,5}",
        2 => "[\u{1f300}-\u{1f3ff}]{1,3}",
        1 => "\\PC{0,12}",
        1 => any::<String>().prop_map(|text| text.chars().take(20).collect()),
        2 => "x{300}y[0-9]{1,4}",
    ]
    .prop_filter("S3 has no empty keys", |key| !key.is_empty())
}

fn keys() -> impl Strategy<Value = BTreeSet<String>> {
    let dense =
        (0u32..1000, 0u32..700).prop_map(|(from, n)| (from..from + n).map(|i| format!("d/{i:05}")).collect());
    let skewed = (1u32..600).prop_map(|n| {
        (0..n)
            .map(|i| "a".repeat(1 + i as usize % 40) + &format!("{i}"))
            .collect()
    });
    let nested = (1usize..200).prop_map(|n| (1..=n).map(|i| "ab".repeat(i)).collect());
    prop_oneof![3 => btree_set(key(), 0..400), 1 => dense, 1 => skewed, 1 => nested, 1 => subtrees()]
}

/// A few keys here and there, and many in one place.
fn subtrees() -> impl Strategy<Value = BTreeSet<String>> {
    (btree_set(key(), 0..20), key(), btree_set("[0-9]{3}", 0..500)).prop_map(|(mut few, place, many)| {
        few.extend(many.into_iter().map(|key| format!("{place}/{key}")));
        few
    })
}

fn bounds() -> impl Strategy<Value = Bounds> {
    (1usize..20, 0usize..300, 3usize..50).prop_map(|(connections, waiting, page)| Bounds {
        connections,
        waiting,
        page,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_keys_come_once_and_in_order(keys in keys(), bounds in bounds(), seed: u64) {
        check(keys, "", bounds, seed);
    }

    #[test]
    fn only_keys_with_the_prefix_come(keys in keys(), prefix in key(), bounds in bounds(), seed: u64) {
        let start: String = prefix.chars().take(2).collect();
        let within = keys.iter().map(|key| format!("{start}{key}"));
        let all = within.chain(keys.iter().cloned()).collect();
        check(all, &start, bounds, seed);
    }

    #[test]
    fn keys_that_stay_come_once_whatever_changes(
        stable in keys(),
        passing in vec(key(), 1..200),
        bounds in bounds(),
        seed: u64,
    ) {
        let passing: BTreeSet<String> = passing.into_iter().filter(|key| !stable.contains(key)).collect();
        let bucket = Arc::new(Bucket::new(stable.clone(), "", Latency::Drawn(seed)));
        let changing = Arc::clone(&bucket);
        let found = runtime().block_on(async {
            let changes = async move {
                for (at, key) in passing.iter().chain(&passing).enumerate() {
                    tokio::time::sleep(Duration::from_millis(mix(seed ^ at as u64) % 20)).await;
                    let mut keys = changing.keys.lock().unwrap();
                    if !keys.remove(key) {
                        keys.insert(key.clone());
                    }
                }
            };
            let ((found, ended), ()) = tokio::join!(list(bucket, "", bounds), changes);
            ended.unwrap();
            found
        });
        prop_assert!(found.is_sorted_by(|a, b| a < b));
        let found: BTreeSet<String> = found.into_iter().collect();
        prop_assert!(stable.is_subset(&found));
    }
}

#[test]
fn keys_as_long_as_they_may_be() {
    let keys = (0..500).map(|i| format!("{}{i:04}", "p/".repeat(510))).collect();
    check(keys, "", BOUNDS, 1);
    let ends = (0..500u32).map(|i| {
        format!(
            "{}{}",
            char::from_u32(0x10_fe00 + i).unwrap(),
            "\u{10ffff}".repeat(255)
        )
    });
    check(ends.collect(), "", BOUNDS, 2);
}

/// A bucket of numbers that counts what it gives away, and gives nothing from `bad` on.
struct Watched {
    bucket: Bucket,
    bad: &'static str,
    served: AtomicUsize,
}

impl Watched {
    fn new(bad: &'static str) -> Arc<Self> {
        let keys = (0..30_000).map(|i| format!("{i:06}"));
        let bucket = Bucket::new(keys, "", Latency::Drawn(3));
        let served = AtomicUsize::new(0);
        Arc::new(Self { bucket, bad, served })
    }
}

#[async_trait]
impl Pages for Watched {
    async fn page(&self, start_after: &str, max: usize) -> Result<Page, Error> {
        let page = self.bucket.page(start_after, max).await?;
        if page
            .entries
            .last()
            .is_some_and(|last| last.key.as_str() >= self.bad)
        {
            return Err(Error::new(ErrorKind::Denied, "no more"));
        }
        self.served.fetch_add(page.entries.len(), Ordering::Relaxed);
        Ok(page)
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_comes_after_the_keys_before_it() {
    let (found, ended) = list(
        Watched::new("005000"),
        "",
        Bounds {
            waiting: 10_000,
            ..BOUNDS
        },
    )
    .await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Denied);
    assert!(
        found
            .iter()
            .enumerate()
            .all(|(at, key)| *key == format!("{at:06}"))
    );
    assert!((4_900..=5_000).contains(&found.len()), "{} keys", found.len());
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_bounded() {
    let pages = Watched::new("x");
    let bounds = Bounds {
        connections: 16,
        waiting: 1000,
        page: 10,
    };
    let mut listing = Listing::start(Arc::clone(&pages) as _, "", bounds);
    let mut taken = 0;
    while taken < 20_000 {
        taken += listing.next().await.unwrap().unwrap().len();
        let late = if taken < 1_000 { 2_000 } else { 10 };
        tokio::time::sleep(Duration::from_millis(late)).await;
        let ahead = pages.served.load(Ordering::Relaxed) - taken;
        assert!(ahead < 2 * bounds.waiting, "{ahead} keys ahead of {taken}");
    }
    drop(listing);
    while Arc::strong_count(&pages) > 1 {
        tokio::task::yield_now().await;
    }
}

/// A server that answers the same whatever it is asked.
struct Stubborn(Page);

#[async_trait]
impl Pages for Stubborn {
    async fn page(&self, _: &str, _: usize) -> Result<Page, Error> {
        assert!(!self.0.entries.is_empty() || self.0.more, "a server that breaks");
        Ok(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_goes_in_circles_is_an_error() {
    let entries = vec![Listed {
        key: "a".to_owned(),
        ..Listed::default()
    }];
    for (page, why) in [
        (Page { entries, more: true }, "not in key order"),
        (
            Page {
                more: true,
                ..Page::default()
            },
            "stands still",
        ),
        (Page::default(), "broke off"),
    ] {
        let (_, ended) = list(Arc::new(Stubborn(page)), "", BOUNDS).await;
        let error = ended.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Server);
        assert!(error.to_string().contains(why), "{error}");
    }
}
