//! What Prometheus reads of the ledger.

use std::time::{Duration, Instant};

use crawldb::{Crawldb, Finished};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::replay::Replayed;

/// Who changes items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Crawl,
    Live,
    Orphan,
    Person,
    Removal,
}

impl Origin {
    fn name(self) -> &'static str {
        match self {
            Self::Crawl => "crawl",
            Self::Live => "live",
            Self::Orphan => "orphan",
            Self::Person => "person",
            Self::Removal => "removal",
        }
    }
}

/// The part of a write that takes the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Items,
    Documents,
    Log,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Documents => "documents",
            Self::Log => "log",
        }
    }
}

/// What Prometheus reads of the ledger.
#[derive(Debug)]
pub struct Metrics {
    transitions: Family<Transition, Counter>,
    superseded: Counter,
    expired_leases: Counter,
    republished: Counter,
    intents_left: Counter,
    intents_recovered: Counter,
    replayed: Family<Replay, Counter>,
    live_lag: Histogram,
    write_time: Family<Write, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Transition {
    outcome: &'static str,
    origin: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Replay {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    step: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            transitions: Family::default(),
            superseded: Counter::default(),
            expired_leases: Counter::default(),
            republished: Counter::default(),
            intents_left: Counter::default(),
            intents_recovered: Counter::default(),
            replayed: Family::default(),
            live_lag: Histogram::new(exponential_buckets(0.01, 4.0, 10)),
            write_time: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.000_5, 4.0, 9))),
        }
    }
}

impl Metrics {
    /// Counts updates or requests that were left out because a newer one of the same item was read with them. The
    /// receipt of the newer one answers for all of them.
    pub fn superseded(&self, count: u64) {
        self.superseded.inc_by(count);
    }

    pub(crate) fn finished(&self, origin: Origin, finished: &[Finished]) {
        for finished in finished {
            let transition = Transition {
                outcome: outcome(finished),
                origin: origin.name(),
            };
            self.transitions.get_or_create(&transition).inc();
        }
    }

    pub(crate) fn leases_expired(&self, count: u64) {
        self.expired_leases.inc_by(count);
    }

    pub(crate) fn republished(&self, count: u64) {
        self.republished.inc_by(count);
    }

    pub(crate) fn intent_left(&self) {
        self.intents_left.inc();
    }

    pub(crate) fn intent_recovered(&self) {
        self.intents_recovered.inc();
    }

    pub(crate) fn live_applied(&self, lag: Duration) {
        self.live_lag.observe(lag.as_secs_f64());
    }

    pub(crate) fn replayed(&self, replayed: &Replayed) {
        let outcomes = [
            ("written", replayed.written),
            ("same", replayed.same),
            ("stale", replayed.stale),
            ("superseded", replayed.superseded),
            ("swept", replayed.swept),
            ("added", replayed.added),
        ];
        for (outcome, count) in outcomes {
            self.replayed.get_or_create(&Replay { outcome }).inc_by(count);
        }
    }

    /// Does the step, and counts how long it took where it succeeded.
    pub(crate) async fn timed<T, E>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let begun = Instant::now();
        let done = work.await?;
        self.write_time
            .get_or_create(&Write { step: step.name() })
            .observe(begun.elapsed().as_secs_f64());
        Ok(done)
    }

    pub(crate) fn register(&self, registry: &mut Registry, crawldb: &Crawldb) {
        let registry = registry.sub_registry_with_prefix("haul_ledger");
        registry.register(
            "transitions",
            "What became of items, by outcome and by who changed them",
            self.transitions.clone(),
        );
        registry.register(
            "superseded",
            "Updates and requests left out because a newer one of the item was read with them",
            self.superseded.clone(),
        );
        registry.register(
            "expired_leases",
            "Leases of items whose holder was silent for too long",
            self.expired_leases.clone(),
        );
        registry.register(
            "republished",
            "Items without a crawl whose live update was sent again",
            self.republished.clone(),
        );
        registry.register(
            "intents_left",
            "Writes that failed and left their intent to a recovery",
            self.intents_left.clone(),
        );
        registry.register(
            "intents_recovered",
            "Intents that a recovery carried out",
            self.intents_recovered.clone(),
        );
        registry.register(
            "replayed",
            "Records and references that replays handled, by outcome",
            self.replayed.clone(),
        );
        registry.register_with_unit(
            "live_lag",
            "From the time of a live update to its write",
            Unit::Seconds,
            self.live_lag.clone(),
        );
        registry.register_with_unit(
            "write_duration",
            "Time of one batch, by step",
            Unit::Seconds,
            self.write_time.clone(),
        );
        registry.register_collector(Box::new(RaceCollector(crawldb.clone())));
    }
}

fn outcome(finished: &Finished) -> &'static str {
    match finished {
        Finished::Applied { .. } => "applied",
        Finished::Unchanged(_) => "unchanged",
        Finished::Deleted { .. } => "deleted",
        Finished::Retry(_) => "retry",
        Finished::Escalated(_) => "escalated",
        Finished::Released(_) => "released",
        Finished::Stale(_) => "stale",
    }
}

/// Reads how often other writers were faster when Prometheus asks.
#[derive(Debug)]
struct RaceCollector(Crawldb);

impl Collector for RaceCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let races = self.0.races();
        let figures = [
            (
                "conflicts",
                "Compare-and-swaps that found another revision",
                races.conflicts,
            ),
            (
                "stale_writes",
                "Attempts that a newer write had overtaken",
                races.stale,
            ),
        ];
        for (name, help, count) in figures {
            let counter = ConstCounter::new(count);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
