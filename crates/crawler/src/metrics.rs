use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::live::LiveMetrics;

/// What a crawler counts, for Prometheus. Labels have few values, whatever is crawled.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    transitions: Family<Transition, Counter>,
    errors: Family<Kind, Counter>,
    seconds: Family<Stage, Histogram, fn() -> Histogram>,
    bytes: Counter,
    found: Family<Origin, Counter>,
    receipts: Family<Outcome, Counter>,
    verified: Family<Outcome, Counter>,
    pub(crate) lanes: Gauge,
    pub(crate) crawls: Gauge,
    pub(crate) pauses: Counter,
    pub(crate) expired: Counter,
    pub(crate) write_retries: Counter,
    duration: Gauge<f64, AtomicU64>,
    pub(crate) live: LiveMetrics,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transition {
    to: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Origin {
    origin: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            transitions: Family::default(),
            errors: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.5, 13))),
            bytes: Counter::default(),
            found: Family::default(),
            receipts: Family::default(),
            verified: Family::default(),
            lanes: Gauge::default(),
            crawls: Gauge::default(),
            pauses: Counter::default(),
            expired: Counter::default(),
            write_retries: Counter::default(),
            duration: Gauge::default(),
            live: LiveMetrics::new(),
        }
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("haul_crawler");
        registry.register(
            "items",
            "Items by what their attempt made of them",
            self.transitions.clone(),
        );
        registry.register("errors", "Failed attempts by kind", self.errors.clone());
        let help = "Time per page by stage";
        registry.register_with_unit("stage", help, Unit::Seconds, self.seconds.clone());
        registry.register_with_unit("fetched", "Bodies as they came", Unit::Bytes, self.bytes.clone());
        registry.register(
            "found_items",
            "Items that became due by what led to them",
            self.found.clone(),
        );
        registry.register(
            "receipts",
            "Receipts of the crawls that this process leads, by outcome",
            self.receipts.clone(),
        );
        registry.register(
            "verified_items",
            "Items that a source was asked for because a crawl missed them",
            self.verified.clone(),
        );
        registry.register("lanes", "Hosts that are worked on", self.lanes.clone());
        registry.register("crawls_running", "Crawls that run", self.crawls.clone());
        registry.register("pauses", "Pauses of hosts that kept failing", self.pauses.clone());
        registry.register(
            "expired_leases",
            "Leases that were not given back in time",
            self.expired.clone(),
        );
        registry.register(
            "write_retries",
            "Writes that were tried again",
            self.write_retries.clone(),
        );
        let help = "How long the last crawl took";
        registry.register_with_unit("last_crawl", help, Unit::Seconds, self.duration.clone());
        self.live.register(registry);
    }

    pub(crate) fn transition(&self, to: &'static str) {
        self.transitions.get_or_create(&Transition { to }).inc();
    }

    pub(crate) fn error(&self, kind: crawldb::ItemErrorKind) {
        self.errors
            .get_or_create(&Kind {
                kind: format!("{kind:?}").to_ascii_lowercase(),
            })
            .inc();
    }

    pub(crate) fn stage(&self, stage: &'static str, took: Duration) {
        self.seconds
            .get_or_create(&Stage { stage })
            .observe(took.as_secs_f64());
    }

    pub(crate) fn fetched(&self, bytes: u64) {
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn found(&self, origin: &'static str) {
        self.found.get_or_create(&Origin { origin }).inc();
    }

    pub(crate) fn verified(&self, outcome: &'static str) {
        self.verified.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn receipt(&self, outcome: &'static str) {
        self.receipts.get_or_create(&Outcome { outcome }).inc();
    }

    pub(crate) fn crawl_took(&self, took: Duration) {
        self.duration.set(took.as_secs_f64());
    }
}
