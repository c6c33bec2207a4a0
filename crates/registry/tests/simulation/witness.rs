//! Who has what, counted from the registry's answers alone, and what must hold at every step.

use std::collections::{BTreeMap, HashMap, HashSet};

use model::{RunId, ScraperId};
use registry::{Capacity, Ended, Lease, Phase, RUNS_PER_HOST, Run};

/// From the last renewal of a lease to the moment at which its run must be taken away: 30 s of lease, 10 s between two looks of a
/// scheduler, and clocks that disagree by 6 s.
const LONGEST_UNHEARD_MS: u64 = 30_000 + 10_000 + 6_000;

pub(crate) struct Held {
    pub(crate) worker: String,
    pub(crate) scraper: ScraperId,
    pub(crate) memory_mib: u64,
    pub(crate) epoch: u64,
    /// When it was renewed last, by nobody's clock.
    pub(crate) renewed_ms: u64,
}

#[derive(Default)]
pub(crate) struct Witness {
    pub(crate) held: BTreeMap<RunId, Held>,
    by_scraper: HashMap<ScraperId, RunId>,
    /// Whom a scraper talks to, once a run of it has shown that.
    hosts: HashMap<ScraperId, String>,
    last_epoch: u64,
}

impl Witness {
    pub(crate) fn leased(&mut self, worker: &str, lease: &Lease, capacity: Capacity, at_ms: u64) {
        let run = &lease.run;
        assert!(
            lease.epoch > self.last_epoch,
            "epoch {} after {}",
            lease.epoch,
            self.last_epoch
        );
        self.last_epoch = lease.epoch;
        let other = self.by_scraper.insert(run.scraper.clone(), run.id);
        assert_eq!(other, None, "{} has two runs: {}", run.scraper, run.id);
        assert_eq!(run.phase, Phase::Leased);
        assert!(run.memory_mib > 0);
        let held = Held {
            worker: worker.to_owned(),
            scraper: run.scraper.clone(),
            memory_mib: run.memory_mib,
            epoch: lease.epoch,
            renewed_ms: at_ms,
        };
        assert!(
            self.held.insert(run.id, held).is_none(),
            "run {} is leased twice",
            run.id
        );
        let here = || self.held.values().filter(|held| held.worker == worker);
        let memory: u64 = here().map(|held| held.memory_mib).sum();
        assert!(memory <= capacity.memory_mib, "{worker} has {memory} MiB of runs");
        assert!(
            here().count() <= capacity.slots as usize,
            "{worker} has too many runs"
        );
        if let Some(host) = self.hosts.get(&run.scraper) {
            let others = self
                .held
                .values()
                .filter(|held| self.hosts.get(&held.scraper) == Some(host));
            assert!(
                others.count() <= RUNS_PER_HOST as usize,
                "too many runs talk to {host}"
            );
        }
    }

    /// The run is over, and may have shown whom its scraper talks to.
    pub(crate) fn ended(&mut self, ended: &Ended) {
        self.released(ended.run.id);
        let domains = ended.run.ending.iter().flat_map(|ending| &ending.domains);
        for domain in domains {
            self.hosts.insert(ended.run.scraper.clone(), domain.host.clone());
        }
    }

    pub(crate) fn renewed(&mut self, run: RunId, epoch: u64, at_ms: u64) {
        let held = self.held.get_mut(&run).filter(|held| held.epoch == epoch);
        held.unwrap_or_else(|| panic!("a lease of run {run} was renewed that is over"))
            .renewed_ms = at_ms;
    }

    /// Whether this epoch still holds the run.
    pub(crate) fn holds(&self, run: RunId, epoch: u64) -> bool {
        self.held.get(&run).is_some_and(|held| held.epoch == epoch)
    }

    /// The run has no worker any more.
    pub(crate) fn released(&mut self, run: RunId) -> Option<Held> {
        let held = self.held.remove(&run)?;
        self.by_scraper.remove(&held.scraper);
        Some(held)
    }

    pub(crate) fn check_leases(&self, at_ms: u64) {
        for (run, held) in &self.held {
            let unheard = at_ms.saturating_sub(held.renewed_ms);
            assert!(
                unheard <= LONGEST_UNHEARD_MS,
                "run {run} is {}'s, who was not heard for {unheard} ms",
                held.worker
            );
        }
    }

    /// Compares what the registry says with what was counted.
    pub(crate) fn check_runs(&self, unfinished: &[Run]) {
        let mut scrapers = HashSet::new();
        let mut working = 0;
        for run in unfinished {
            assert!(
                scrapers.insert(&run.scraper),
                "{} has two unfinished runs",
                run.scraper
            );
            assert!(
                run.not_before.is_none() || run.attempts > 0,
                "run {} waits on a timer",
                run.id
            );
            match run.phase {
                Phase::Queued => assert!(!self.held.contains_key(&run.id)),
                Phase::Finished => panic!("run {} is over and is not", run.id),
                _ => {
                    working += 1;
                    assert!(self.held.contains_key(&run.id), "run {} works for nobody", run.id);
                }
            }
        }
        assert_eq!(working, self.held.len());
    }
}
