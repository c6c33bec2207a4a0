//! `/metrics`: what the process counts, as OpenMetrics text.

use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::http::app::App;
use crate::http::problem::Problem;
use crate::http::slow::SlowLog;
use crate::index::Index;

/// One number that another part of the process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// In lower case with underscores, and no two the same; without the prefix `pkgindex_` and the `_total` of counts, which are
    /// put on.
    pub name: &'static str,
    /// A sentence for people, without a full stop.
    pub help: &'static str,
    /// What it says now.
    pub value: u64,
    /// How it moves.
    pub measure: Measure,
}

/// How a number moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// It only grows, from zero when the process began.
    Count,
    /// It goes up and down.
    Level,
}

/// Gives the numbers as they are now; called for each scrape.
pub type Samples = Arc<dyn Fn() -> Vec<Sample> + Send + Sync>;

/// Bounded: routes are those of the router, statuses are few.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
}

impl Metrics {
    pub(super) fn new(index: &Index, slow: &Arc<SlowLog>, more: Samples) -> Self {
        let requests = Family::default();
        let mut registry = Registry::with_prefix("pkgindex");
        registry.register(
            "http_requests",
            "HTTP requests that were answered",
            requests.clone(),
        );
        registry.register_collector(Box::new(Scraped {
            index: index.clone(),
            slow: Arc::clone(slow),
            more,
        }));
        Self { registry, requests }
    }

    pub(super) fn answered(&self, route: &str, status: StatusCode) {
        let answered = Answered {
            route: route.to_owned(),
            status: status.as_u16(),
        };
        self.requests.get_or_create(&answered).inc();
    }
}

/// `/metrics`.
pub(super) async fn metrics(State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let mut text = String::new();
    encode(&mut text, &app.metrics.registry).map_err(|error| Problem::broken("the metrics", &error))?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// What is read when it is asked for, because it is counted elsewhere.
struct Scraped {
    index: Index,
    slow: Arc<SlowLog>,
    more: Samples,
}

impl fmt::Debug for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraped").finish_non_exhaustive()
    }
}

impl Scraped {
    fn counts(&self) -> [Sample; 6] {
        let counts = self.index.counts();
        let count = |name, help, value| sample(name, help, value, Measure::Count);
        let cycles = self.index.sizes().reported_cycles;
        [
            count("rounds", "Commits that the store has confirmed", counts.rounds()),
            count(
                "changes",
                "Changes that the store has committed",
                counts.changes(),
            ),
            count(
                "conflicts",
                "Commits before which another server was faster",
                counts.conflicts(),
            ),
            count(
                "failures",
                "Commits that the store did not take",
                counts.failures(),
            ),
            count("reported_cycles", "INDEX commands that closed a cycle", cycles),
            count(
                "slow_requests",
                "HTTP requests that took longer than they should",
                self.slow.count(),
            ),
        ]
    }

    fn levels(&self) -> [Sample; 7] {
        let sizes = self.index.sizes();
        let level = |name, help, value| sample(name, help, value, Measure::Level);
        [
            level("packages", "Indexed packages", sizes.packages as u64),
            level("edges", "Dependencies of all packages", sizes.edges as u64),
            level("revision", "The newest revision", sizes.revision.0),
            level(
                "committed_revision",
                "The newest revision that the store has",
                sizes.committed.0,
            ),
            level(
                "pending_bytes",
                "What waits to be committed",
                sizes.pending_bytes as u64,
            ),
            level(
                "feed_bytes",
                "What the change feed remembers",
                sizes.feed_bytes as u64,
            ),
            level(
                "lost",
                "Whether the index has stopped answering",
                u64::from(sizes.lost.is_some()),
            ),
        ]
    }

    fn encode_commands(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Commands by verb and answer";
        let mut family = encoder.encode_descriptor("commands", help, None, MetricType::Counter)?;
        for (verb, answer, count) in self.index.counts().answers() {
            let labels = [("verb", verb), ("answer", answer)];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn encode_commit_time(&self, encoder: &mut DescriptorEncoder) -> fmt::Result {
        let help = "Time spent in commits that the store has confirmed";
        let unit = Some(&Unit::Seconds);
        let metric = encoder.encode_descriptor("commit", help, unit, MetricType::Counter)?;
        ConstCounter::new(self.index.counts().commit_time().as_secs_f64()).encode(metric)
    }
}

fn sample(name: &'static str, help: &'static str, value: u64, measure: Measure) -> Sample {
    Sample {
        name,
        help,
        value,
        measure,
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        self.encode_commands(&mut encoder)?;
        self.encode_commit_time(&mut encoder)?;
        let more = (self.more)();
        for sample in self.counts().into_iter().chain(self.levels()).chain(more) {
            encode_sample(&sample, &mut encoder)?;
        }
        Ok(())
    }
}

fn encode_sample(sample: &Sample, encoder: &mut DescriptorEncoder) -> fmt::Result {
    let kind = match sample.measure {
        Measure::Count => MetricType::Counter,
        Measure::Level => MetricType::Gauge,
    };
    let metric = encoder.encode_descriptor(sample.name, sample.help, None, kind)?;
    match sample.measure {
        Measure::Count => ConstCounter::new(sample.value).encode(metric),
        Measure::Level => ConstGauge::new(sample.value).encode(metric),
    }
}
