use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use model::RunId;
use registry::{Cause, Outcome, Run, RunFilter, Scope};
use runner::Leftover;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Of, OwnerAndName};
use crate::api::refusals::{Guarded, Missing, SentAlong, Wrong};
use crate::api::wire::{AskedBody, RunBody};
use crate::download::attached;
use crate::params::{Named, Params, Segments};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// Runs, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Runs {
    runs: Vec<RunBody>,
    /// Give it as `before` for older ones; missing where there are none.
    next: Option<u64>,
}

/// The runs of all scrapers, newest first.
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "runs", operation_id = "list_all_runs",
    params(
        ("owner" = Option<String>, Query, description = "Only runs of this owner's scrapers"),
        ("state" = Option<String>, Query, description = "`unfinished` or `finished`; both where it is missing"),
        ("outcome" = Option<String>, Query, description = "Only with this outcome; may be given several times"),
        ("before" = Option<u64>, Query, description = "Only older ones: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = Runs),
        Wrong,
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<Runs>, Problem> {
    let filter = RunFilter {
        owner: params.parsed("owner")?,
        ..filter(&params)?
    };
    listed(&app, filter).await
}

/// The runs of a scraper, newest first.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/runs", tag = "runs", operation_id = "list_runs",
    params(
        OwnerAndName,
        ("state" = Option<String>, Query, description = "`unfinished` or `finished`; both where it is missing"),
        ("outcome" = Option<String>, Query, description = "Only with this outcome; may be given several times"),
        ("before" = Option<u64>, Query, description = "Only older ones: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = Runs),
        Wrong,
        Missing,
    )
)]
pub(crate) async fn of_scraper(
    State(app): State<Arc<App>>,
    Of(id): Of,
    params: Params,
) -> Result<Json<Runs>, Problem> {
    let scraper = app.runner.registry().scraper(&id).await?;
    let filter = RunFilter {
        scraper: Some(scraper.id),
        ..filter(&params)?
    };
    listed(&app, filter).await
}

fn filter(params: &Params) -> Result<RunFilter, Problem> {
    let unfinished = match params.text("state") {
        "" => None,
        "unfinished" => Some(true),
        "finished" => Some(false),
        _ => {
            return Err(Problem::bad_request(
                "the state of a run is unfinished or finished",
            ));
        }
    };
    let before = params.number("before", 0, 1..=usize::MAX)?;
    Ok(RunFilter {
        unfinished,
        outcomes: params.all("outcome").map(outcome).collect::<Result<_, _>>()?,
        before: (before > 0).then_some(RunId(before as u64)),
        limit: params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?,
        ..RunFilter::default()
    })
}

fn outcome(word: &str) -> Result<Outcome, Problem> {
    serde_json::from_value(word.into())
        .map_err(|error| Problem::bad_request(format!("the parameter \"outcome\": {error}")))
}

async fn listed(app: &App, filter: RunFilter) -> Result<Json<Runs>, Problem> {
    let limit = filter.limit;
    let filter = RunFilter {
        limit: limit + 1,
        ..filter
    };
    let mut runs = app.runner.registry().runs(filter).await?;
    let has_more = runs.len() > limit;
    runs.truncate(limit);
    Ok(Json(Runs {
        next: runs.last().filter(|_| has_more).map(|run| run.id.0),
        runs: runs.iter().map(RunBody::from).collect(),
    }))
}

/// One run.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}", tag = "runs", operation_id = "get_run",
    params(("run" = u64, Path, description = "Its number")),
    responses(
        (status = 200, body = RunBody),
        SentAlong,
        Missing,
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(run): Named<RunId>,
) -> Result<Json<RunBody>, Problem> {
    Ok(Json(RunBody::from(&readable(&app, &visitor, run).await?)))
}

/// The run, if this visitor may know what it does: everybody may, but for code that somebody sent along.
pub(crate) async fn readable(app: &App, visitor: &Visitor, run: RunId) -> Result<Run, Problem> {
    let run = app.runner.registry().run(run).await?;
    if let Cause::Upload { by, .. } = &run.cause {
        visitor.must(app, Scope::Run, by).await?;
    }
    Ok(run)
}

/// What a run left beside its log and its data.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeftoverName {
    Cassette,
    Rejected,
}

/// The leftover that the path names.
#[derive(Deserialize)]
pub(crate) struct WhichLeftover {
    run: u64,
    leftover: LeftoverName,
}

/// What a run left beside its log and its data. It may hold secrets and what was not published: its owner's business.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/{leftover}", tag = "runs", operation_id = "get_leftover",
    params(
        ("run" = u64, Path, description = "Its number"),
        ("leftover" = String, Path, description = "`cassette`: what it said and heard over HTTP, where it was recorded, for `haul run --replay`; `rejected`: \
            its `data.sqlite`, where it was put aside because it is damaged"),
    ),
    responses(
        (status = 200, description = "The file", content_type = "application/octet-stream"),
        Wrong,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn leftover(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Segments(which): Segments<WhichLeftover>,
    request: Request,
) -> Result<Response, Problem> {
    let run = app.runner.registry().run(RunId(which.run)).await?;
    visitor.must(&app, Scope::Manage, &run.scraper.owner).await?;
    let (leftover, name) = match which.leftover {
        LeftoverName::Cassette => (Leftover::Cassette, format!("run-{}.cassette", run.id)),
        LeftoverName::Rejected => (Leftover::Rejected, format!("run-{}-rejected.sqlite", run.id)),
    };
    let file = app.runner.leftover(run.id, leftover).await?;
    let file = file.ok_or_else(|| {
        Problem::not_found(format!("run {} left no such file, or it is kept no more", run.id))
    })?;
    attached(&file, &name, "application/octet-stream", request).await
}

/// Asks for a run. Where one waits or runs already, that is the one.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/runs", tag = "runs", operation_id = "ask_for_run",
    params(OwnerAndName),
    responses(
        (status = 202, body = AskedBody),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Run, &id.owner).await?;
    let asked = app.runner.ask(&id, asked_by(&visitor)?).await?;
    let (registry::Asked::Queued(run) | registry::Asked::Already(run)) = asked;
    let place = [(header::LOCATION, format!("/api/v1/runs/{run}"))];
    Ok((StatusCode::ACCEPTED, place, Json(AskedBody::from(asked))))
}

/// Why there is a run that this visitor asks for.
pub(crate) fn asked_by(visitor: &Visitor) -> Result<Cause, Problem> {
    let by = visitor.owner()?;
    Ok(match visitor {
        Visitor::Program(_) => Cause::Api { by },
        _ => Cause::Person { by },
    })
}

/// Stops a run, wherever it is; one that waits is over at once.
#[utoipa::path(
    post, path = "/api/v1/runs/{run}/stop", tag = "runs", operation_id = "stop_run",
    params(("run" = u64, Path, description = "Its number")),
    responses(
        (status = 202, body = RunBody),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(run): Named<RunId>,
) -> Result<impl IntoResponse, Problem> {
    let by = visitor.owner()?;
    let run = app.runner.registry().run(run).await?;
    visitor.must(&app, Scope::Run, &run.scraper.owner).await?;
    let run = app.runner.stop_run(run.id, by.as_str()).await?;
    Ok((StatusCode::ACCEPTED, Json(RunBody::from(&run))))
}
