//! What became of the day, and what must be so.

use std::collections::BTreeMap;
use std::fmt;

use crate::plan::{HOUR, OVERLOAD};

#[derive(Default)]
pub(crate) struct Report {
    pub(crate) workers: usize,
    pub(crate) runs: u64,
    pub(crate) coalesced: u64,
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    pub(crate) requeued: u64,
    pub(crate) worker_deaths: u64,
    pub(crate) zombies: u64,
    pub(crate) fenced: u64,
    pub(crate) scheduler_deaths: u64,
    pub(crate) lost_heartbeats: u64,
    /// How many wait, every minute.
    pub(crate) waiting: Vec<u64>,
    /// From a person's wish to its place, in seconds, for runs of ordinary size.
    pub(crate) person_waits: Vec<u64>,
    /// The same of scheduled ones.
    pub(crate) automatic_waits: Vec<u64>,
    /// Places that each owner had in the overload, added up over its minutes.
    pub(crate) places: BTreeMap<String, u64>,
    pub(crate) unfinished_at_end: usize,
}

impl Report {
    pub(crate) fn check(&self) {
        assert_eq!(self.unfinished_at_end, 0, "runs never came to an end");
        let is_faulty = self.worker_deaths > 0 && self.zombies > 0 && self.fenced > 0 && self.requeued > 0;
        assert!(
            is_faulty && self.lost_heartbeats > 0 && self.scheduler_deaths > 0,
            "nothing went wrong, so nothing was seen"
        );
        self.check_drain();
        self.check_waits();
        self.check_shares();
    }

    /// After the overload, the mean of every half hour is below the one before, until hardly anybody waits.
    fn check_drain(&self) {
        let means = self.half_hours();
        let end = (OVERLOAD.end * 2 / HOUR) as usize;
        let peak = means[end];
        assert!(peak >= 20.0, "the overload was none: {peak}");
        let mut last = peak;
        for mean in &means[end + 1..] {
            if last < peak * 0.1 {
                break;
            }
            assert!(*mean < last, "the queue grows after the overload: {means:.0?}");
            last = *mean;
        }
        assert!(last < peak * 0.1, "the queue does not drain: {means:.0?}");
    }

    fn half_hours(&self) -> Vec<f64> {
        let mean = |minutes: &[u64]| minutes.iter().sum::<u64>() as f64 / minutes.len() as f64;
        self.waiting.chunks(30).map(mean).collect()
    }

    /// People wait for the next place that is free, whatever else waits; everybody else gets there, too.
    fn check_waits(&self) {
        assert!(self.person_waits.len() > 100);
        let (p99, most) = (
            percentile(&self.person_waits, 99),
            percentile(&self.person_waits, 100),
        );
        assert!(
            p99 <= 120 && most <= 600,
            "people wait {p99} s (p99), {most} s at most"
        );
        let most = percentile(&self.automatic_waits, 100);
        assert!(most <= 4 * 3_600, "an automatic run waited {most} s");
    }

    /// In the overload, everybody has something that waits. One place in four goes to who waits longest; the others are shared equally.
    fn check_shares(&self) {
        let all: u64 = self.places.values().sum();
        let equal = 0.75 / self.places.len() as f64;
        for (owner, places) in &self.places {
            let share = *places as f64 / all as f64;
            assert!(
                (equal * 0.6..=equal * 1.4 + 0.2).contains(&share),
                "{owner} has {share:.2}: {:?}",
                self.places
            );
        }
    }
}

fn percentile(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or(0)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} workers, {} runs, {} wishes coalesced, outcomes {:?}",
            self.workers, self.runs, self.coalesced, self.outcomes
        )?;
        writeln!(
            f,
            "  {} deaths and {} sleeps of workers, {} deaths of schedulers, {} heartbeats lost, {} requeued, {} calls fenced",
            self.worker_deaths,
            self.zombies,
            self.scheduler_deaths,
            self.lost_heartbeats,
            self.requeued,
            self.fenced
        )?;
        for (who, waits) in [
            ("people", &self.person_waits),
            ("automatic", &self.automatic_waits),
        ] {
            let at = |percent| percentile(waits, percent);
            writeln!(
                f,
                "  {who}: {} waits, p50 {} s, p99 {} s, most {} s",
                waits.len(),
                at(50),
                at(99),
                at(100)
            )?;
        }
        writeln!(f, "  waiting, by half hour: {:.0?}", self.half_hours())?;
        write!(f, "  places in the overload: {:?}", self.places)
    }
}
