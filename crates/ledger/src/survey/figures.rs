use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crawldb::ItemState;
use model::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use super::{CRAWL_GROUP, SourceSurvey, Survey, Tally};
use crate::LIVE_GROUP;

/// Every state, so that a figure is 0 rather than absent.
const STATES: [(ItemState, &str); 10] = [
    (ItemState::Pending, "pending"),
    (ItemState::InFlight, "in_flight"),
    (ItemState::Success, "success"),
    (ItemState::Unchanged, "unchanged"),
    (ItemState::Failure, "failure"),
    (ItemState::Escalated, "escalated"),
    (ItemState::Ignored, "ignored"),
    (ItemState::OrphanCandidate, "orphan_candidate"),
    (ItemState::Deleting, "deleting"),
    (ItemState::Deleted, "deleted"),
];

/// Shows the last survey when Prometheus asks; nothing before the first one.
#[derive(Debug)]
pub(super) struct SurveyCollector(pub(super) Arc<RwLock<Survey>>);

impl Collector for SurveyCollector {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let survey = self.0.read().unwrap_or_else(PoisonError::into_inner);
        if survey.at == Timestamp::default() {
            return Ok(());
        }
        let mut page = Page(encoder);
        page.whole(&survey)?;
        page.groups(&survey)?;
        page.sources(&survey)
    }
}

struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    fn whole(&mut self, survey: &Survey) -> fmt::Result {
        let age = |group: Tally| {
            seconds(
                group
                    .oldest
                    .map_or(Duration::ZERO, |oldest| survey.at.since(oldest)),
            )
        };
        let figures = [
            (
                "survey_timestamp_seconds",
                "When the stores were asked last",
                unix(survey.at),
            ),
            (
                "sources",
                "Sources that are not being deleted",
                number(survey.sources),
            ),
            (
                "running_crawls",
                "Crawls that run, by their records",
                number(survey.running.count),
            ),
            (
                "running_crawl_age_seconds",
                "Age of the oldest crawl that runs",
                age(survey.running),
            ),
            (
                "blocked_crawls",
                "Sources whose last crawl waits until a person approves its deletions",
                number(survey.blocked),
            ),
            (
                "open_intents",
                "Writes that were begun and not ended",
                number(survey.intents.count),
            ),
            (
                "open_intent_age_seconds",
                "Age of the oldest write that was begun and not ended",
                age(survey.intents),
            ),
        ];
        for (name, help, value) in figures {
            ConstGauge::new(value).encode(self.0.encode_descriptor(
                name,
                help,
                None,
                MetricType::Gauge,
            )?)?;
        }
        Ok(())
    }

    fn groups(&mut self, survey: &Survey) -> fmt::Result {
        let items =
            STATES.map(|(state, name)| (name, number(survey.items.get(&state).copied().unwrap_or(0))));
        self.family("items", "Items by their state", "state", items)?;
        let members = [
            (CRAWL_GROUP, survey.crawl_members),
            (LIVE_GROUP, survey.live_members),
        ];
        let members = members.map(|(name, count)| (name, number(count)));
        self.family(
            "group_members",
            "Members of a consumer group that are alive",
            "group",
            members,
        )
    }

    fn sources(&mut self, survey: &Survey) -> fmt::Result {
        type Read = fn(&SourceSurvey) -> Option<f64>;
        let figures: [(&str, &str, Read); 6] = [
            (
                "source_last_start_timestamp_seconds",
                "When the newest crawl began",
                |source| source.last_start.map(unix),
            ),
            (
                "source_last_success_timestamp_seconds",
                "When the newest complete crawl ended; when the source was added where there is none",
                |source| Some(unix(source.last_success)),
            ),
            (
                "source_last_crawl_duration_seconds",
                "How long the newest crawl took that is over",
                |source| source.last_duration.map(seconds),
            ),
            (
                "source_escalated_items",
                "Items that a person must decide about",
                |source| Some(number(source.escalated)),
            ),
            (
                "source_live_lag_records",
                "Live updates that are not applied",
                |source| Some(number(source.live_lag)),
            ),
            (
                "source_live_stalled_seconds",
                "For how long a partition with live updates to apply has not moved",
                |source| Some(seconds(source.live_stalled)),
            ),
        ];
        for (name, help, read) in figures {
            let rows = survey.by_source.iter();
            let rows = rows.filter_map(|(source, found)| Some((source.as_str(), read(found)?)));
            self.family(name, help, "source", rows)?;
        }
        Ok(())
    }

    fn family<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        rows: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, figure) in rows {
            ConstGauge::new(figure).encode(family.encode_family(&[(label, value)])?)?;
        }
        Ok(())
    }
}

fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn unix(at: Timestamp) -> f64 {
    at.as_millis() as f64 / 1_000.0
}
