//! Many items: page after page, in memory that does not grow with their number.
//!
//! `ORPHANS_ITEMS=1000000 cargo test --release -p ledger --test orphans volume -- --nocapture` measures a million items,
//! of which one in a hundred is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crawldb::{Crawl, Item, ItemState};
use model::{ItemId, PageUrl};

use crate::world::{Engine, HOST, Silent, World};

const BATCH: usize = 1_000;
/// Pages that name the others.
const HUBS: usize = 997;
/// What a sweep may take beyond what the process has, whatever the number of items.
const MAX_GROWTH_BYTES: u64 = 256 << 20;

/// As many as a test has time for.
const FEW: usize = 4_000;

fn asked_for() -> usize {
    let asked = std::env::var("ORPHANS_ITEMS").ok();
    asked.map_or(FEW, |items| items.parse().unwrap())
}

/// One in so many is gone: few of many, and more than a page of few.
fn one_in(items: usize) -> usize {
    if items >= 100_000 { 100 } else { 3 }
}

fn numbered(like: &Item, number: usize) -> Item {
    let url = PageUrl::parse(&format!("https://{HOST}/section/page-{number:09}")).unwrap();
    let parent = format!("https://{HOST}/section/page-{:09}", number % HUBS);
    Item {
        id: ItemId::new(url.as_str()).unwrap(),
        url,
        parent: (number >= HUBS).then(|| ItemId::new(parent).unwrap()),
        ..like.clone()
    }
}

/// A source of so many pages that were read before, and all but some again by the crawl.
async fn grown(world: &World, items: usize) -> Crawl {
    world.crawl(1_000, &["new", "old"]).await;
    let crawl = world.crawled(2_000, &["new"]).await;
    let (new, old) = (world.item("new").await, world.item("old").await);
    let store = world.crawldb.store();
    for first in (0..items).step_by(BATCH) {
        let is_gone = |number: usize| number >= HUBS && number.is_multiple_of(one_in(items));
        let batch = (first..items.min(first + BATCH))
            .map(|number| numbered(if is_gone(number) { &old } else { &new }, number))
            .map(|item| Item {
                revision: crawldb::Revision::NEW,
                ..item
            });
        store.put_items(&batch.collect::<Vec<_>>()).await.unwrap();
    }
    crawl
}

/// What the process has in memory of its own.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1_024
}

/// Looks at the memory of the process now and then until it is dropped.
struct Watch {
    ends: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
}

impl Watch {
    fn start() -> Self {
        let (ends, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (is_over, highest) = (Arc::clone(&ends), Arc::clone(&peak));
        std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                highest.fetch_max(resident(), Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(5));
            }
        });
        Self { ends, peak }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

#[expect(clippy::print_stdout, reason = "a measurement is for people")]
async fn sweep_many(engine: Engine, items: usize) {
    let mut world = World::on(engine).await;
    world
        .configure(|settings| settings.orphans.guard_percent = 40.0)
        .await;
    let crawl = grown(&world, items).await;
    let before = resident();
    let watch = Watch::start();
    let started = Instant::now();
    let report = world
        .sweep_with(&world.ledger, &crawl, &Silent, 2_500)
        .await
        .unwrap();
    let took = started.elapsed();
    let growth = watch.peak.load(Ordering::Relaxed).saturating_sub(before);
    println!(
        "{engine:?}: {items} items, {} deleted in {took:?}, {} MiB more",
        report.deleted,
        growth >> 20
    );
    let gone = (HUBS..items)
        .filter(|number| number.is_multiple_of(one_in(items)))
        .count() as u64;
    // "old" is gone, too.
    assert_eq!(
        (report.candidates, report.deleted, report.protected),
        (gone + 1, gone + 1, 0)
    );
    assert!(growth < MAX_GROWTH_BYTES, "{growth} bytes");
    let counts = world.crawldb.store();
    counts.refresh().await.unwrap();
    let counts = counts.counts(&world.source.id, None).await.unwrap();
    assert_eq!(counts.by_state.get(&ItemState::Deleted).unwrap().0, gone + 1);
    assert_eq!(counts.by_state.get(&ItemState::OrphanCandidate), None);
}

#[tokio::test]
async fn many_on_sqlite() {
    sweep_many(Engine::Sqlite, asked_for()).await;
}

/// This engine refuses calls about more than a thousand items.
#[tokio::test]
async fn many_on_a_store_that_lags() {
    sweep_many(Engine::Lagging, FEW).await;
}
