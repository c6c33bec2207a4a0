use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use model::RunId;
use registry::{Cause, Outcome, RunFilter, Scope};
use serde::Serialize;
use utoipa::ToSchema;

use super::Of;
use crate::api::wire::{AskedBody, RunBody};
use crate::params::{Named, Params};
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
        (status = 400, body = Problem, content_type = "application/problem+json"),
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
        ("owner" = String, Path, description = "Whose scraper"), ("name" = String, Path, description = "Its name"),
        ("state" = Option<String>, Query, description = "`unfinished` or `finished`; both where it is missing"),
        ("outcome" = Option<String>, Query, description = "Only with this outcome; may be given several times"),
        ("before" = Option<u64>, Query, description = "Only older ones: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = Runs),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
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
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(number): Named<RunNumber>,
) -> Result<Json<RunBody>, Problem> {
    Ok(Json(RunBody::from(&app.runner.registry().run(number.0).await?)))
}

/// The number of a run in a path.
pub(crate) struct RunNumber(RunId);

impl TryFrom<String> for RunNumber {
    type Error = model::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// Asks for a run. Where one waits or runs already, that is the one.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/runs", tag = "runs", operation_id = "ask_for_run",
    params(("owner" = String, Path, description = "Whose scraper"), ("name" = String, Path, description = "Its name")),
    responses(
        (status = 202, body = AskedBody),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
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
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn stop(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(number): Named<RunNumber>,
) -> Result<impl IntoResponse, Problem> {
    let by = visitor.owner()?;
    let run = app.runner.registry().run(number.0).await?;
    visitor.must(&app, Scope::Run, &run.scraper.owner).await?;
    let run = app.runner.stop_run(run.id, by.as_str()).await?;
    Ok((StatusCode::ACCEPTED, Json(RunBody::from(&run))))
}
