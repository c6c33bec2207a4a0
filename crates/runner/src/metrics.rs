//! Figures for operators.

use std::sync::atomic::AtomicU64;

use egress::Visit;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use registry::{Ending, Outcome, Run};

const OUTCOMES: [Outcome; 10] = [
    Outcome::Succeeded,
    Outcome::Failed,
    Outcome::BuildFailed,
    Outcome::SyncFailed,
    Outcome::NoData,
    Outcome::OutOfMemory,
    Outcome::TimedOut,
    Outcome::DiskFull,
    Outcome::Stopped,
    Outcome::Lost,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByOutcome {
    outcome: &'static str,
}

/// What is counted about runs.
#[derive(Clone)]
pub(crate) struct Metrics {
    runs: Family<ByOutcome, Counter>,
    running: Gauge,
    wait_seconds: Histogram,
    run_seconds: Histogram,
    memory_bytes: Histogram,
    site_wait: Counter<f64, AtomicU64>,
    errors: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            runs: Family::default(),
            running: Gauge::default(),
            wait_seconds: Histogram::new(exponential_buckets(0.1, 4.0, 10)),
            run_seconds: Histogram::new(exponential_buckets(0.1, 4.0, 10)),
            memory_bytes: Histogram::new(exponential_buckets(4_194_304.0, 2.0, 12)),
            site_wait: Counter::default(),
            errors: Counter::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        // What never happened is 0, not missing: only so does the first failure show as a change.
        for outcome in OUTCOMES {
            let outcome = outcome.word();
            let _ = self.runs.get_or_create(&ByOutcome { outcome });
        }
        let scrapers = registry.sub_registry_with_prefix("haul_runner");
        scrapers.register("runs", "Runs that are over", self.runs.clone());
        scrapers.register("running", "Runs that go on in this process", self.running.clone());
        scrapers.register_with_unit(
            "wait",
            "From a run's wish to its place",
            Unit::Seconds,
            self.wait_seconds.clone(),
        );
        scrapers.register_with_unit(
            "run",
            "How long programs ran",
            Unit::Seconds,
            self.run_seconds.clone(),
        );
        scrapers.register_with_unit(
            "peak_memory",
            "The most memory of a run",
            Unit::Bytes,
            self.memory_bytes.clone(),
        );
        scrapers.register_with_unit(
            "site_wait",
            "How long connections of runs waited for their turn at a site",
            Unit::Seconds,
            self.site_wait.clone(),
        );
        scrapers.register(
            "queue_errors",
            "Looks at the queue that failed",
            self.errors.clone(),
        );
    }

    pub(crate) fn admitted(&self, run: &Run) {
        if let Some(leased) = run.leased_at {
            let waited = leased.as_millis().saturating_sub(run.queued_at.as_millis());
            self.wait_seconds.observe(waited as f64 / 1_000.0);
        }
    }

    pub(crate) fn ran(&self, ending: &Ending) {
        self.run_seconds.observe(ending.usage.wall_ms as f64 / 1_000.0);
        self.memory_bytes.observe(ending.usage.peak_memory_bytes as f64);
    }

    pub(crate) fn visited(&self, visits: &[Visit]) {
        let waited_ms: u64 = visits.iter().map(|visit| visit.counts.waited_ms).sum();
        self.site_wait.inc_by(waited_ms as f64 / 1_000.0);
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        let outcome = outcome.word();
        self.runs.get_or_create(&ByOutcome { outcome }).inc();
    }

    pub(crate) fn running(&self, runs: usize) {
        self.running.set(i64::try_from(runs).unwrap_or(i64::MAX));
    }

    pub(crate) fn failed(&self) {
        self.errors.inc();
    }
}
