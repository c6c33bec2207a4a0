//! What the cuts are worth, in virtual time: 50 ms a page of 1,000 keys, 64 connections.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::bucket::{Bucket, Latency, mix};
use crate::list::{Bounds, Listing};

const PAGE: Duration = Duration::from_millis(50);
const BOUNDS: Bounds = Bounds {
    connections: 64,
    waiting: 200_000,
    page: 1000,
};

/// Lists the keys and says how much faster than page after page it was, and how many requests there were for each page.
async fn measure(name: &str, keys: impl IntoIterator<Item = String>) -> (f64, f64) {
    let bucket = Arc::new(Bucket::new(keys, "", Latency::Fixed(PAGE)));
    let expected = bucket.listed();
    let mut listing = Listing::start(Arc::clone(&bucket) as _, "", BOUNDS);
    let start = Instant::now();
    let mut found = Vec::new();
    while let Some(page) = listing.next().await {
        found.extend(page.unwrap().into_iter().map(|listed| listed.key));
    }
    assert!(found == expected, "{name}: not the keys of the bucket");
    let pages = expected.len().div_ceil(BOUNDS.page).max(1) as f64;
    let faster = pages * PAGE.as_secs_f64() / start.elapsed().as_secs_f64();
    let requests = bucket.requests();
    println!(
        "{name}: {} keys, {faster:.1} x faster, {requests} requests for {pages} pages",
        expected.len()
    );
    (faster, requests as f64 / pages)
}

/// A name made of syllables, some more frequent than others.
fn word(seed: u64) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "con", "di", "er", "for", "ga", "hi", "in", "ly", "men", "no", "o", "pre", "st", "un", "ver",
    ];
    let syllable = |i: u64| (mix(seed ^ i << 40) % 16).min(mix(seed ^ i << 41) % 16) as usize;
    (0..3 + mix(seed) % 4).map(|i| SYLLABLES[syllable(i)]).collect()
}

fn dated(i: u64) -> String {
    let (hour, number) = (mix(i) % (24 * 400), mix(i + 1) % 1000);
    let (year, month) = (2023 + hour / (24 * 360), hour / (24 * 30) % 12 + 1);
    let (day, name) = (hour / 24 % 30 + 1, word(mix(i) % 50));
    format!(
        "logs/{year}/{month:02}/{day:02}/{:02}/{name}-{number:03}.gz",
        hour % 24
    )
}

fn emoji(i: u64) -> String {
    let one = |at: u64| char::from_u32(0x1f300 + (mix(i ^ at << 33) % 256) as u32);
    (1..4).filter_map(one).collect()
}

/// Each letter has half as many keys as the one before.
fn skewed(i: u64) -> String {
    let letter = char::from(b'a' + mix(i).leading_zeros().min(25) as u8);
    format!("{letter}/{:09}", mix(i + 7) % 1_000_000_000)
}

/// One folder in the middle holds nearly all.
fn in_subtree(i: u64) -> String {
    if i.is_multiple_of(100) {
        return format!("{}/x{i}", word(i));
    }
    format!("media/video/by-id/{i:07}/thumb.jpg")
}

fn key(shape: &str, i: u64) -> String {
    match shape {
        "numbers" => format!("data/{i:08}"),
        "plain" => format!("data/{i}.json"),
        "hashes" => format!("{:016x}{:016x}", mix(i), mix(i ^ 1 << 40)),
        "dates" => dated(i),
        "words" => format!("{}{}{}", word(i), word(i + 77), mix(i) % 10),
        "skewed" => skewed(i),
        "subtree" => in_subtree(i),
        "deep" => format!("{}{:07}", "d/".repeat(450), i * 3),
        "emoji" => emoji(i),
        "tenants" => format!(
            "tenants/{:08x}-acme/objects/{:016x}",
            mix(mix(i) % 37) >> 32,
            mix(i + 5)
        ),
        _ => format!("{}", 1_700_000_000_000 + i * 37_000),
    }
}

fn shape(name: &str, n: u64) -> Vec<String> {
    (0..n).map(|i| key(name, i)).collect()
}

const SHAPES: [&str; 11] = [
    "numbers", "plain", "hashes", "dates", "words", "skewed", "subtree", "deep", "emoji", "tenants", "times",
];

#[tokio::test(start_paused = true)]
async fn listing_is_much_faster_than_page_after_page() {
    for name in SHAPES {
        let (faster, requests) = measure(name, shape(name, 200_000)).await;
        assert!(faster >= 8.0, "{name}: only {faster:.1} x faster");
        assert!(requests <= 1.9, "{name}: {requests:.1} requests for each page");
    }
}

#[tokio::test(start_paused = true)]
async fn small_listings_cost_little_more() {
    for (n, most) in [(0, 1.0), (500, 1.0), (2_500, 7.0 / 3.0), (20_000, 2.2)] {
        for name in SHAPES {
            let (_, requests) = measure(name, shape(name, n)).await;
            assert!(
                requests <= most,
                "{name}, {n} keys: {requests:.1} requests for each page"
            );
        }
    }
}
