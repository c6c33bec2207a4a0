//! How far the updates of a source are applied: Live Update Tracking of the seed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use crawldb::Source;
use ledger::LIVE_GROUP;
use model::{SourceId, Timestamp};
use serde::Serialize;
use updates::{LogError, Partition, topics};
use utoipa::ToSchema;

use crate::api::sources::existing;
use crate::display::rfc3339;
use crate::params::Named;
use crate::problem::Problem;
use crate::state::App;

/// How far the updates of a source are applied.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LiveTracking)]
pub(crate) struct LiveTracking {
    /// Whether the source takes updates.
    pub(crate) enabled: bool,
    /// Whether the time that an update carries is its version.
    trust_clock: bool,
    topic: String,
    /// The consumer group that applies them.
    group: &'static str,
    /// Members of the group that are alive.
    pub(crate) members: usize,
    /// By number; none before the first update.
    pub(crate) partitions: Vec<PartitionLag>,
    /// Updates that are not applied yet, over all partitions. After compaction they may be fewer.
    pub(crate) lag: u64,
    /// When the log took the oldest of them, RFC 3339.
    oldest_waiting_at: Option<String>,
    #[serde(skip)]
    pub(crate) waiting_since: Option<Timestamp>,
}

/// One partition of the live topic.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartitionLag {
    pub(crate) partition: u32,
    /// The first offset that can be read.
    low: u64,
    /// The offset that the next update will get.
    pub(crate) end: u64,
    /// Everything before this offset is applied.
    pub(crate) committed: u64,
    pub(crate) lag: u64,
}

/// How far the updates of a source are applied, per partition of its live topic.
#[utoipa::path(
    get, path = "/api/v1/sources/{source}/live", tag = "live", operation_id = "get_live",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = LiveTracking),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<Json<LiveTracking>, Problem> {
    let source = existing(&app, &id).await?;
    Ok(Json(tracking(&app, &source).await?))
}

/// How far the updates of the source are applied now.
pub(crate) async fn tracking(app: &App, source: &Source) -> Result<LiveTracking, Problem> {
    let topic = topics::live(&source.id);
    let partitions = partitions(app, &topic).await?;
    let waiting_since = oldest_waiting(app, &topic, &partitions).await?;
    Ok(LiveTracking {
        enabled: source.settings.live.enabled,
        trust_clock: source.settings.live.trust_clock,
        group: LIVE_GROUP,
        members: app.ledger.log().members(LIVE_GROUP).await?.len(),
        lag: partitions.iter().map(|partition| partition.lag).sum(),
        partitions,
        oldest_waiting_at: waiting_since.map(rfc3339),
        waiting_since,
        topic,
    })
}

async fn partitions(app: &App, topic: &str) -> Result<Vec<PartitionLag>, Problem> {
    let log = app.ledger.log();
    let ends = match log.watermarks(topic).await {
        // The source was never crawled, nor told of.
        Err(LogError::NoTopic(_)) => return Ok(Vec::new()),
        ends => ends?,
    };
    let committed = log.committed(LIVE_GROUP, topic).await?;
    let lag = |(partition, (ends, committed)): (u32, (&updates::Watermarks, u64))| PartitionLag {
        partition,
        low: ends.low,
        end: ends.high,
        committed,
        lag: ends.high.saturating_sub(committed.max(ends.low)),
    };
    Ok((0..).zip(ends.iter().zip(committed)).map(lag).collect())
}

async fn oldest_waiting(
    app: &App,
    topic: &str,
    partitions: &[PartitionLag],
) -> Result<Option<Timestamp>, Problem> {
    let mut oldest: Option<Timestamp> = None;
    for lagging in partitions.iter().filter(|partition| partition.lag > 0) {
        let partition = Partition {
            topic: topic.to_owned(),
            number: lagging.partition,
        };
        let waiting = app.ledger.log().read(&partition, lagging.committed, 1).await?;
        let at = waiting.first().map(|record| record.appended_at);
        oldest = at.into_iter().chain(oldest).min();
    }
    Ok(oldest)
}
