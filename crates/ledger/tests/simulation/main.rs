//! The whole of the ledger under a scheduler that follows a seed: workers, conductors, listeners, a janitor and a person
//! work on two sources that change meanwhile; calls fail, processes die or fall asleep and wake up as zombies, scans lag,
//! clocks are wrong, hints vanish. When it gets quiet, the properties I1 to I12 must hold.
//!
//! `SIMULATION_SCHEDULES` says how many seeds are tried. `SIMULATION_SEED` (with `SIMULATION_BUG`, if it is about one of
//! [`bug::Bug`]) runs a single one and prints what happened. Seeds that ever failed are in `seeds.txt` and run first.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod actors;
mod bug;
mod checks;
mod dice;
mod log;
mod run;
mod stage;
mod store;
mod truth;
mod witness;
mod world;

use bug::Bug;
use run::run;

const SCHEDULES: u64 = 100_000;
/// Seeds below which every bug must be found.
const SEEDS_OF_A_BUG: u64 = 400;
const THREADS: u64 = 2;

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .ok()
            .unwrap_or_else(|| panic!("{name} cannot be {text:?}")),
    )
}

/// Runs the seed, and once more with a trace if something is wrong.
fn check(seed: u64) {
    let findings = run(seed, None, false).findings;
    if !findings.is_empty() {
        let trace = run(seed, None, true).trace.join("\n");
        panic!("{trace}\n\nseed {seed} (add it to seeds.txt): {findings:#?}");
    }
}

#[test]
fn seeds_that_failed_once_hold() {
    let lines = include_str!("seeds.txt").lines();
    let numbers = lines.filter_map(|line| line.split('#').next()?.trim().parse().ok());
    numbers.for_each(check);
}

#[test]
fn every_property_holds_under_every_schedule() {
    if variable::<u64>("SIMULATION_SEED").is_some() {
        return;
    }
    let schedules = variable("SIMULATION_SCHEDULES").unwrap_or(SCHEDULES);
    let failed = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for first in 0..THREADS {
            let failed = &failed;
            scope.spawn(move || {
                for seed in (first..schedules).step_by(THREADS as usize) {
                    if failed.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    let findings = run(seed, None, false).findings;
                    if !findings.is_empty() {
                        failed.store(true, std::sync::atomic::Ordering::Relaxed);
                        check(seed);
                    }
                }
            });
        }
    });
}

#[test]
fn a_seed_says_everything() {
    for seed in 0..20 {
        let (first, second) = (run(seed, None, true), run(seed, None, true));
        assert!(
            first.steps > 200,
            "seed {seed} does too little: {} steps",
            first.steps
        );
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

/// Prints what happens in the run that somebody asks for.
#[test]
fn the_seed_that_is_asked_for() {
    let Some(seed) = variable("SIMULATION_SEED") else {
        return;
    };
    let name: Option<String> = variable("SIMULATION_BUG");
    let bug = name.map(|name| Bug::named(&name).unwrap_or_else(|| panic!("there is no bug {name:?}")));
    let report = run(seed, bug, true);
    println!("{}\n\n{:#?}", report.trace.join("\n"), report.findings);
}

/// The properties that the bug is seen to break, by seed.
fn is_found(bug: Bug, seed: u64) -> bool {
    let findings = run(seed, Some(bug), false).findings;
    findings.iter().any(|finding| finding.property == bug.breaks())
}

macro_rules! bugs {
    ($($name:ident: $bug:ident;)*) => {
        $(
            #[test]
            fn $name() {
                let found = (0..SEEDS_OF_A_BUG).find(|seed| is_found(Bug::$bug, *seed));
                assert!(found.is_some(), "{:?} survives {SEEDS_OF_A_BUG} seeds: {} is not seen to break", Bug::$bug, Bug::$bug.breaks());
            }
        )*

        #[test]
        fn every_bug_has_a_test() {
            assert_eq!(Bug::ALL, [$(Bug::$bug),*]);
        }
    };
}

bugs! {
    i1_a_failed_listing_is_forgotten: ForgetsIncompleteScopes;
    i1_a_page_is_settled_before_its_links_are_told: SettlesBeforeSighting;
    i2_nobody_sweeps: NeverSweeps;
    i3_a_listener_commits_before_it_applies: CommitsBeforeApplying;
    i3_live_updates_are_as_new_as_their_arrival: VersionsByArrival;
    i4_documents_are_written_without_compare_and_swap: IgnoresDocumentRevisions;
    i4_nobody_recovers: NeverRecovers;
    i5_a_replay_stamps_anew: ReplaysAsNew;
    i6_intents_get_lost: LosesIntents;
    i7_a_worker_retries_too_often: RetriesTooOften;
    i8_items_are_written_without_compare_and_swap: IgnoresItemRevisions;
    i9_the_guard_miscounts: MiscountsLiveItems;
    i10_a_refresh_does_nothing: NeverRefreshes;
    i11_workers_trust_requests: TrustsRequests;
    i12_a_replay_forgets_a_source: ReplaysHalf;
}
