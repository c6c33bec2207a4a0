//! Seeded runs against a server that is slow, wrong and unreliable: whatever happens, no file is wrong and no run hangs.
//!
//! Everything about a run is drawn from its seed. `RETRIEVE_FAULT_RUNS` says how many runs there are, `RETRIEVE_FAULT_SEED`
//! where their seeds begin; the default is a seed of the day's first run, which is printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod check;
mod draw;
mod scenario;
mod watch;

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use origin::{Config, Origin};

use draw::Draw;
use scenario::Scenario;
use watch::Watch;

/// Seeds that have found something; they go first.
const FAILED_BEFORE: &[u64] = &[
    6_533_564_653_097_160_371,
    15_981_928_107_382_519_720,
    242_971_545_354_371_002,
    11_669_397_758_459_234_000,
    8_424_108_595_828_950_982,
    18_283_428_843_939_028_898,
    8_533_599_913_058_294_463,
    302_784_034_911_034_563,
    977_415_088_693_958_634,
    1_063_146_488_776_984_480,
];

const DEFAULT_RUNS: u64 = 300;
/// Most of a run is waiting for a server that says nothing.
const THREADS: usize = 12;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_file_is_wrong_and_no_run_hangs() {
    let runs = number("RETRIEVE_FAULT_RUNS").unwrap_or(DEFAULT_RUNS);
    let base = number("RETRIEVE_FAULT_SEED").unwrap_or(0x5eed);
    let mut draw = Draw::new(base);
    let drawn = (0..runs).map(|_| draw.next());
    let seeds: Vec<u64> = FAILED_BEFORE.iter().copied().chain(drawn).collect();
    let origin = Origin::start(Config::default()).unwrap();
    let tally = check::Tally::default();
    let next = AtomicU64::new(0);
    let watch = Watch::new();
    let failed = Mutex::new(Vec::new());
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let running = watch.begin(*seed);
                    let run = || Scenario::draw(*seed).run(&origin, &tally);
                    // The others go on: one bug seldom comes alone.
                    if std::panic::catch_unwind(AssertUnwindSafe(run)).is_err() {
                        failed.lock().unwrap().push(*seed);
                    }
                    drop(running);
                }
            });
        }
    });
    println!(
        "{} runs from seed {base} in {:.1} s: {tally}",
        seeds.len(),
        began.elapsed().as_secs_f64()
    );
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "put these into FAILED_BEFORE: {failed:?}");
}

/// `RETRIEVE_FAULT_ONE=SEED` runs one seed alone and says what it is.
#[test]
fn one_seed() {
    let Some(seed) = number("RETRIEVE_FAULT_ONE") else {
        return;
    };
    let origin = Origin::start(Config::default()).unwrap();
    let watch = Watch::new();
    let _running = watch.begin(seed);
    let scenario = Scenario::draw(seed);
    println!("{scenario:#?}");
    scenario.run(&origin, &check::Tally::default());
}
