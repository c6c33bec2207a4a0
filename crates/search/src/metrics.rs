use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// What a [`Library`](crate::Library) counts.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Queries, by how they ended.
    pub(crate) queries: Family<Ended, Counter>,
    /// How long queries took that were not answered from the cache.
    pub(crate) seconds: Histogram,
    /// Queries that were answered from the cache.
    pub(crate) cache_hits: Counter,
    /// Packs that are open now.
    pub(crate) open_packs: Gauge,
    /// Packs that took the place of others or are the first of their host.
    pub(crate) swaps: Counter,
    /// Packs that were fetched and found bad.
    pub(crate) refused: Counter,
}

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Ended {
    pub(crate) outcome: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            queries: Family::default(),
            seconds: Histogram::new(exponential_buckets(0.000_1, 2.5, 14)),
            cache_hits: Counter::default(),
            open_packs: Gauge::default(),
            swaps: Counter::default(),
            refused: Counter::default(),
        }
    }
}

impl Metrics {
    /// Adds everything to `registry`, with names that begin with `search_`.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("haul_search");
        registry.register("queries", "Queries, by how they ended", self.queries.clone());
        registry.register(
            "query_seconds",
            "Duration of queries that the cache did not answer",
            self.seconds.clone(),
        );
        registry.register(
            "cache_hits",
            "Queries that the cache answered",
            self.cache_hits.clone(),
        );
        registry.register("open_packs", "Packs that are open now", self.open_packs.clone());
        registry.register("swaps", "Packs that came into force", self.swaps.clone());
        registry.register(
            "refused_packs",
            "Packs that were fetched and found bad",
            self.refused.clone(),
        );
    }
}
