//! Listings of up to 200,000 keys whose pages take 50 ms each.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bucket;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bucket::request;
use origin::{Config, Delay, Object, Origin, Shaping};
use retrieve::{Options, Retriever};

const KEYS: u64 = 200_000;
const PAGE: Duration = Duration::from_millis(50);

fn origin_with(keys: u64, key: impl Fn(u64) -> String) -> Origin {
    let shaping = Shaping {
        list_page: Delay::Constant(PAGE),
        ..Shaping::default()
    };
    let origin = Origin::start(Config {
        shaping,
        ..Config::default()
    })
    .unwrap();
    origin.put_many(
        "b",
        (0..keys).map(|number| (key(number), Object::new(number, number % 100))),
    );
    origin
}

/// Everything that `address` means, in order and once; no more than so many pages are asked for.
#[track_caller]
fn check(origin: &Origin, address: &str, mut expected: Vec<String>, most_pages: u64) {
    expected.sort_unstable();
    let retriever = Retriever::new(Options::default()).unwrap();
    let started = Instant::now();
    let entries = retriever.list(request(origin, address));
    let keys: Vec<String> = entries
        .map(|entry| entry.unwrap().location.key().to_owned())
        .collect();
    let took = started.elapsed();
    assert_eq!(keys.len(), expected.len());
    let first_wrong = keys.iter().zip(&expected).find(|(key, expected)| key != expected);
    assert_eq!(first_wrong, None);
    let stats = origin.stats();
    assert!(stats.list_pages <= most_pages, "{} pages", stats.list_pages);
    assert!(stats.requests.get + stats.requests.head == 0, "{stats:?}");
    // Side by side, as far as it is allowed.
    let least = if expected.len() >= 50_000 { 4 } else { 1 };
    assert!((least..=64).contains(&stats.connections_peak), "{stats:?}");
    // Without optimization the pages take the processor longer than they are awaited.
    assert!(
        cfg!(debug_assertions) || took < PAGE * (KEYS as u32 / 1000) / 4,
        "{took:?}"
    );
}

#[test]
fn numbered_keys_come_all_and_in_order() {
    let key = |number: u64| format!("data/{number:08}.bin");
    let origin = origin_with(KEYS, key);
    check(&origin, "s3://b/data/", (0..KEYS).map(key).collect(), 500);
}

#[test]
fn keys_without_a_pattern_come_all_and_in_order() {
    let key = |number: u64| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let parts = ["k", "\u{e9}t\u{e9}/", "z~", "\u{65e5}\u{672c}/", "a b+c/"];
        format!("{}{mixed:016x}", parts[(mixed % 5) as usize])
    };
    let origin = origin_with(50_000, key);
    let expected: Vec<String> = (0..50_000).map(key).collect();
    assert_eq!(expected.iter().collect::<HashSet<_>>().len(), 50_000);
    check(&origin, "s3://b/", expected, 250);
}

#[test]
fn a_glob_lists_only_what_may_fit() {
    let key = |number: u64| format!("{}/{number:08}", number % 100);
    let origin = origin_with(40_000, key);
    let expected = (0..40_000)
        .filter(|number| number % 100 == 7 && number % 10_000 < 5_000)
        .map(key)
        .collect::<Vec<_>>();
    let expected = expected
        .into_iter()
        .filter(|key| key.as_bytes()[key.len() - 4] < b'5')
        .collect();
    check(&origin, "s3://b/7/*[0-4]???", expected, 40);
}

#[test]
fn a_listing_that_is_cut_off_does_not_look_whole() {
    let origin = origin_with(20_000, |number| format!("{number:08}"));
    let retriever = Retriever::new(Options::default()).unwrap();
    let mut entries = retriever.list(request(&origin, "s3://b/"));
    assert!(entries.next().is_some_and(|entry| entry.is_ok()));
    drop(retriever);
    assert!(
        entries.any(|entry| entry.is_err()),
        "it ended as if there were no more"
    );
    assert!(entries.next().is_none());
}

#[test]
fn a_listing_that_nobody_wants_ends() {
    let origin = origin_with(20_000, |number| format!("{number:08}"));
    let retriever = Retriever::new(Options::default()).unwrap();
    let mut entries = retriever.list(request(&origin, "s3://b/"));
    assert!(entries.next().is_some());
    drop(entries);
    let deadline = Instant::now() + Duration::from_secs(10);
    while origin.stats().requests_open > 0 {
        assert!(Instant::now() < deadline, "requests go on");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(origin.stats().list_pages < 20);
}
