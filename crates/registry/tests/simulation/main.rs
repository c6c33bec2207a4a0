//! A day of scrapers, with the real registry and a clock that jumps.
//!
//! Schedulers and workers die, sleep and wake as zombies, lose heartbeats, and their clocks disagree; for an hour far more is asked for than there is
//! capacity. What must hold at every step is watched by [`witness`], which believes only the answers of the registry and counts for itself;
//! what must hold over the day is checked at its end. Everything follows from a seed; seeds that once found something are in `seeds.txt`.
//!
//! `HAUL_SIMULATED_SCHEDULES` says how many scrapers there are (250), `HAUL_SIMULATION_SEED` which seed is looked at instead of those of the file.
#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

mod day;
mod dice;
mod fleet;
mod plan;
mod report;
mod witness;

use crate::day::Day;
use crate::plan::Plan;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

fn seeds() -> Vec<u64> {
    let kept = include_str!("seeds.txt").lines();
    let kept = kept.filter_map(|line| line.split('#').next()?.trim().parse().ok());
    number("HAUL_SIMULATION_SEED").map_or_else(|| kept.collect(), |seed| vec![seed])
}

#[test]
fn a_day_with_an_hour_of_overload() {
    let schedules = number("HAUL_SIMULATED_SCHEDULES").unwrap_or(250);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for seed in seeds() {
        let began = std::time::Instant::now();
        let report = runtime.block_on(async {
            let mut day = Day::begin(Plan::new(seed, schedules)).await;
            day.pass().await;
            day.end().await
        });
        println!(
            "seed {seed}, {schedules} schedules, {:.1?}:\n{report}",
            began.elapsed()
        );
        report.check();
    }
}
