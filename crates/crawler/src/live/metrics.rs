use std::sync::atomic::AtomicU64;

use crawldb::Finished;
use model::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::applier::name;

/// What the live listener counts, for Prometheus.
#[derive(Clone, Debug)]
pub(crate) struct LiveMetrics {
    updates: Family<Outcome, Counter>,
    /// From the moment the log took an update until it was written.
    seconds: Histogram,
    /// The age of the oldest update of the newest batch.
    lag: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

impl LiveMetrics {
    pub(crate) fn new() -> Self {
        Self {
            updates: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.005, 3.0, 14)),
            lag: Gauge::default(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "live_updates",
            "Live updates by what became of them",
            self.updates.clone(),
        );
        let help = "From the log to the crawl database, per live update";
        registry.register_with_unit("live_update", help, Unit::Seconds, self.seconds.clone());
        let help = "The age of the oldest live update of the newest batch";
        registry.register_with_unit("live_lag", help, Unit::Seconds, self.lag.clone());
    }

    /// A batch came. `oldest` is when its oldest update was appended.
    pub(super) fn read(&self, superseded: u64, oldest: Option<Timestamp>, now: Timestamp) {
        self.count("superseded", superseded);
        self.lag.set(oldest.map_or(0.0, |at| now.since(at).as_secs_f64()));
    }

    pub(super) fn count(&self, outcome: &'static str, updates: u64) {
        self.updates.get_or_create(&Outcome { outcome }).inc_by(updates);
    }

    pub(super) fn wrote(&self, finished: &Finished, appended_at: Timestamp, now: Timestamp) {
        self.seconds.observe(now.since(appended_at).as_secs_f64());
        self.count(name(finished), 1);
    }
}
