//! The index made again from what was applied.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use crawldb::IndexName;
use ledger::{Replay, ReplayFrom};
use model::{CrawlId, SourceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::sources::existing;
use crate::api::updates::instant;
use crate::display::rfc3339;
use crate::params::{Body, Named};
use crate::problem::Problem;
use crate::replays::{Job, Outcome, Work};
use crate::state::App;

/// A replay to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReplay {
    from: Begin,
    /// Into which index; the one in force where it is missing.
    into: Option<String>,
}

/// Where a replay begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = ReplayFrom)]
enum Begin {
    /// With the oldest record that the log has: `"beginning"`.
    Beginning,
    /// Where this crawl started.
    Start(String),
    /// Where this crawl ended.
    End(String),
    /// At the first record of this time or later, RFC 3339.
    Time(String),
    /// At these offsets, per partition.
    Offsets(Vec<u64>),
}

/// A replay, and how far it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayBody {
    /// Missing for all sources.
    source: Option<String>,
    /// Missing for the index in force.
    into: Option<String>,
    /// `running`, `done` or `failed`.
    state: &'static str,
    /// Why it failed; begin it again, what is there is skipped.
    error: Option<String>,
    /// RFC 3339.
    started_at: String,
    /// RFC 3339.
    ended_at: Option<String>,
    /// Records that were read.
    read: u64,
    /// Left out because a newer one of the same item was read with them.
    superseded: u64,
    /// References that were written.
    written: u64,
    /// References that the index had.
    same: u64,
    /// References that were older than what the index has.
    stale: u64,
    /// References of items that are gone, which the log did not say.
    swept: u64,
}

impl From<&Job> for ReplayBody {
    fn from(job: &Job) -> Self {
        let (state, error) = match &job.outcome {
            None => ("running", None),
            Some(Outcome::Done) => ("done", None),
            Some(Outcome::Failed(error)) => ("failed", Some(error.clone())),
        };
        let done = job.done;
        Self {
            source: job.source.as_ref().map(ToString::to_string),
            into: job.into.as_ref().map(ToString::to_string),
            state,
            error,
            started_at: rfc3339(job.started_at),
            ended_at: job.ended_at.map(rfc3339),
            read: done.read,
            superseded: done.superseded,
            written: done.written,
            same: done.same,
            stale: done.stale,
            swept: done.swept,
        }
    }
}

/// Begins a replay of a source in the background; one at a time.
#[utoipa::path(
    post, path = "/api/v1/sources/{source}/replays", tag = "documents", operation_id = "begin_replay",
    params(("source" = String, Path, description = "Its id")),
    request_body = NewReplay,
    responses(
        (status = 202, body = ReplayBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "One runs", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn begin(
    State(app): State<Arc<App>>,
    Named(source): Named<SourceId>,
    Body(new): Body<NewReplay>,
) -> Result<impl IntoResponse, Problem> {
    let into = new.into.map(IndexName::new).transpose();
    let into = into.map_err(|error| Problem::bad_request(error.to_string()))?;
    let replay = Replay {
        from: new.from.read(&source)?,
        source,
        into,
    };
    let job = begun(&app, replay).await?;
    Ok((StatusCode::ACCEPTED, Json(ReplayBody::from(&job))))
}

/// The replay of the source that runs, or the last one since this server began.
#[utoipa::path(
    get, path = "/api/v1/sources/{source}/replays", tag = "documents", operation_id = "get_replay",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = ReplayBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(source): Named<SourceId>,
) -> Result<Json<ReplayBody>, Problem> {
    existing(&app, &source).await?;
    let job = app.replays.of(Some(&source));
    let job = job.ok_or_else(|| {
        Problem::not_found(format!("no replay of {source} was begun since this server began"))
    })?;
    Ok(Json(ReplayBody::from(&job)))
}

/// Begins the replay, if the source is there and has none that runs.
pub(crate) async fn begun(app: &Arc<App>, replay: Replay) -> Result<Job, Problem> {
    existing(app, &replay.source).await?;
    let source = replay.source.clone();
    app.replays.begin(app, Work::Source(replay)).ok_or_else(|| {
        let detail = format!("a replay of {source} runs; wait for its end");
        Problem::new(StatusCode::CONFLICT, detail)
    })
}

impl Begin {
    fn read(self, source: &SourceId) -> Result<ReplayFrom, Problem> {
        let own = |text: String| {
            let crawl = CrawlId::new(text)?;
            if crawl.source() == *source {
                return Ok(crawl);
            }
            Err(Problem::bad_request(format!("{crawl} is no crawl of {source}")))
        };
        Ok(match self {
            Self::Beginning => ReplayFrom::Beginning,
            Self::Start(crawl) => ReplayFrom::Start(own(crawl)?),
            Self::End(crawl) => ReplayFrom::End(own(crawl)?),
            Self::Time(time) => ReplayFrom::Time(instant(&time)?),
            Self::Offsets(offsets) => ReplayFrom::Offsets(offsets),
        })
    }
}
