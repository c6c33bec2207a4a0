use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What the packer tells Prometheus.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) records: Counter,
    pub(crate) builds: Family<BuildLabels, Counter>,
    pub(crate) build_seconds: Histogram,
    pub(crate) waiting_hosts: Gauge,
    pub(crate) waiting_records: Gauge,
    pub(crate) left_out: Counter,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct BuildLabels {
    pub(crate) outcome: &'static str,
}

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            records: Counter::default(),
            builds: Family::default(),
            build_seconds: Histogram::new(exponential_buckets(0.01, 3.0, 10)),
            waiting_hosts: Gauge::default(),
            waiting_records: Gauge::default(),
            left_out: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("haul_packer");
        registry.register(
            "records",
            "Applied records read from the update log",
            metrics.records.clone(),
        );
        registry.register("builds", "Packs built, by outcome", metrics.builds.clone());
        registry.register_with_unit(
            "build_duration",
            "From the start of a build to its published pack",
            Unit::Seconds,
            metrics.build_seconds.clone(),
        );
        registry.register(
            "waiting_hosts",
            "Hosts with unpublished records",
            metrics.waiting_hosts.clone(),
        );
        registry.register(
            "waiting_records",
            "Records in no published pack",
            metrics.waiting_records.clone(),
        );
        registry.register(
            "pages_left_out",
            "Pages whose archived extract was damaged",
            metrics.left_out.clone(),
        );
        metrics
    }

    pub(crate) fn built(&self, outcome: &'static str) {
        self.builds.get_or_create(&BuildLabels { outcome }).inc();
    }
}
