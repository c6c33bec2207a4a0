//! Scrapers over HTTP: made, changed, run, and what belongs to them. Reading is for everybody; what changes one asks the [`Visitor`].

mod code;
mod import;
mod named;
mod origin;
mod runs;
mod secrets;
mod versions;
mod webhooks;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use model::{ScraperId, Timestamp};
use registry::{NewScraper, RegistryError, Scope, Scraper, ScraperFilter};
use schedule::Schedule;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::refusals::{Guarded, Missing, Taken, TooLarge, Wrong};
use crate::api::wire::{ChangedScraper, NewScraperBody, ScraperBody};
use crate::clock;
use crate::display::rfc3339;
use crate::names::refuse_reserved;
use crate::params::{Params, Unread, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

pub(crate) use self::named::{Of, OwnerAndName};
pub(crate) use self::origin::checked as checked_origin;
pub(crate) use self::runs::{asked_by, readable};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// Turns of a schedule that are foretold.
const TURNS: usize = 5;

/// Every path about scrapers and runs.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(get, change, remove))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(turns))
        .routes(routes!(runs::of_scraper, runs::ask))
        .routes(routes!(runs::list))
        .routes(routes!(runs::get))
        .routes(routes!(runs::stop))
        .routes(routes!(runs::leftover))
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::put, secrets::delete))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhooks::delete))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(webhooks::redeliver))
        .routes(routes!(versions::list))
        .routes(routes!(versions::restore))
        .routes(routes!(versions::import))
        .routes(routes!(code::put))
        .routes(routes!(import::morph))
}

/// Scrapers by name.
#[derive(Serialize, ToSchema)]
pub(crate) struct Scrapers {
    scrapers: Vec<ScraperBody>,
    /// Give it as `after` for those that follow; missing where there are none.
    next: Option<String>,
}

/// Scrapers, by owner and name.
#[utoipa::path(
    get, path = "/api/v1/scrapers", tag = "scrapers", operation_id = "list_scrapers",
    params(
        ("owner" = Option<String>, Query, description = "Only those of this owner"),
        ("q" = Option<String>, Query, description = "Only those whose name or description has this text in it"),
        ("after" = Option<String>, Query, description = "Only those after this one: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 100 where it is missing"),
    ),
    responses(
        (status = 200, body = Scrapers),
        Wrong,
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<Scrapers>, Problem> {
    let limit = params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
    let text = params.text("q");
    let filter = ScraperFilter {
        owner: params.parsed("owner")?,
        text: (!text.is_empty()).then(|| text.to_owned()),
        after: params.parsed("after")?,
        limit: limit + 1,
    };
    let mut scrapers = app.runner.registry().scrapers(filter).await?;
    let has_more = scrapers.len() > limit;
    scrapers.truncate(limit);
    let last = scrapers.last().filter(|_| has_more);
    Ok(Json(Scrapers {
        next: last.map(|scraper| scraper.id.to_string()),
        scrapers: scrapers.iter().map(ScraperBody::from).collect(),
    }))
}

/// Adds a scraper. Code that you send yourself goes to `.../code`, which makes the scraper too.
#[utoipa::path(
    post, path = "/api/v1/scrapers", tag = "scrapers", operation_id = "add_scraper", request_body = NewScraperBody,
    responses(
        (status = 201, body = ScraperBody),
        Wrong,
        TooLarge,
        Guarded,
        Taken,
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<NewScraperBody>,
) -> Result<impl IntoResponse, Problem> {
    // Who may make scrapers for nobody is not asked what it should be.
    visitor.owner()?;
    let new = body.read().await?;
    let owner = new.owner.map_or_else(|| visitor.owner(), Ok)?;
    let id = ScraperId {
        owner,
        name: new.name,
    };
    may_be_made(&app, &visitor, &id).await?;
    let origin = origin::checked(&app, &visitor, new.origin.into(), None).await?;
    let new = NewScraper {
        id,
        origin,
        settings: new.settings.into(),
    };
    let scraper = app.runner.registry().add_scraper(new, clock::now()).await?;
    let place = [(header::LOCATION, address(&scraper.id))];
    Ok((StatusCode::CREATED, place, Json(ScraperBody::from(&scraper))))
}

/// Refuses unless this visitor may make a scraper of this name.
async fn may_be_made(app: &App, visitor: &Visitor, id: &ScraperId) -> Result<(), Problem> {
    visitor.must(app, Scope::Manage, &id.owner).await?;
    refuse_reserved(&id.owner)
}

/// Where the API has a scraper.
fn address(id: &ScraperId) -> String {
    let (owner, name) = (segment(id.owner.as_str()), segment(id.name.as_str()));
    format!("/api/v1/scrapers/{owner}/{name}")
}

/// One scraper.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}", tag = "scrapers", operation_id = "get_scraper",
    params(OwnerAndName),
    responses(
        (status = 200, body = ScraperBody, headers(("ETag" = String, description = "Names its configuration, for `If-Match`"))),
        Missing,
    )
)]
pub(crate) async fn get(State(app): State<Arc<App>>, Of(id): Of) -> Result<impl IntoResponse, Problem> {
    Ok(tagged(&app.runner.registry().scraper(&id).await?))
}

/// Changes where the code comes from and what the owner says. A run that is not over goes on as it began.
#[utoipa::path(
    put, path = "/api/v1/scrapers/{owner}/{name}", tag = "scrapers", operation_id = "change_scraper",
    params(
        OwnerAndName,
        ("If-Match" = Option<String>, Header, description = "The `ETag` of what is changed: if somebody else changed it since, nothing is done"),
    ),
    request_body = ChangedScraper,
    responses(
        (status = 200, body = ScraperBody, headers(("ETag" = String, description = "Names this configuration"))),
        (status = 412, body = Problem, description = "It was changed since", content_type = "application/problem+json"),
        Wrong,
        TooLarge,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    headers: HeaderMap,
    body: Unread<ChangedScraper>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let body = body.read().await?;
    let registry = app.runner.registry();
    let before = registry.scraper(&id).await?;
    let expected = expected(&headers, &before)?;
    let origin = origin::checked(&app, &visitor, body.origin.into(), Some(&before.origin)).await?;
    let changed = registry.change_scraper(&id, origin, body.settings.into(), expected, clock::now());
    let scraper = changed.await.map_err(|error| match error {
        RegistryError::ChangedMeanwhile { .. } => stale(),
        error => error.into(),
    })?;
    Ok(tagged(&scraper))
}

/// A scraper with the tag of its configuration.
fn tagged(scraper: &Scraper) -> impl IntoResponse + use<> {
    let tag = format!("\"{}\"", scraper.configuration);
    ([(header::ETAG, tag)], Json(ScraperBody::from(scraper)))
}

/// The configuration that the client changes, where it says so (`If-Match`; RFC 9110, 13.1.1).
fn expected(headers: &HeaderMap, scraper: &Scraper) -> Result<Option<u64>, Problem> {
    let Some(held) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let held = held.to_str().unwrap_or_default();
    let own = format!("\"{}\"", scraper.configuration);
    match held.trim() == "*" || held.split(',').any(|tag| tag.trim() == own) {
        true => Ok(Some(scraper.configuration)),
        false => Err(stale()),
    }
}

fn stale() -> Problem {
    let detail = "the scraper was changed meanwhile; read it again, then say what is to be different";
    Problem::new(StatusCode::PRECONDITION_FAILED, detail)
}

/// Removes a scraper with its runs, logs, secrets, webhooks and every version of its data.
#[utoipa::path(
    delete, path = "/api/v1/scrapers/{owner}/{name}", tag = "scrapers", operation_id = "remove_scraper",
    params(OwnerAndName),
    responses(
        (status = 204, description = "It is gone"),
        (status = 400, body = Problem, description = "A run of it is not over", content_type = "application/problem+json"),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<StatusCode, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    app.runner.remove_scraper(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Why a schedule stands still.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Pause {
    /// For people; shown with the scraper.
    reason: String,
}

/// Lets the schedule stand still. A run that is not over goes on, and runs can still be asked for.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/pause", tag = "scrapers", operation_id = "pause_scraper",
    params(OwnerAndName),
    request_body = Pause,
    responses(
        (status = 200, body = ScraperBody),
        Wrong,
        TooLarge,
        Guarded,
        Missing,
    )
)]
pub(crate) async fn pause(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    body: Unread<Pause>,
) -> Result<Json<ScraperBody>, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let pause = body.read_or_default().await?;
    let why = match pause.reason.trim() {
        "" => format!("paused by {}", visitor.owner()?),
        reason => reason.to_owned(),
    };
    paused(&app, &id, Some(why)).await
}

/// Lets the schedule go on.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/resume", tag = "scrapers", operation_id = "resume_scraper",
    params(OwnerAndName),
    responses(
        (status = 200, body = ScraperBody),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn resume(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Json<ScraperBody>, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    paused(&app, &id, None).await
}

async fn paused(app: &App, id: &ScraperId, why: Option<String>) -> Result<Json<ScraperBody>, Problem> {
    let registry = app.runner.registry();
    let scraper = registry.pause_scraper(id, why, clock::now()).await?;
    Ok(Json(ScraperBody::from(&scraper)))
}

/// When a schedule is due.
#[derive(Serialize, ToSchema)]
pub(crate) struct Turns {
    /// The schedule in its shortest words: `every 1d` for `daily`.
    schedule: String,
    /// Its next turns, RFC 3339; fewer where there are no more.
    next: Vec<String>,
}

/// When this scraper would run by a schedule: its next five turns from now. A scraper that is not there yet may be asked about too.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/schedule", tag = "scrapers", operation_id = "foretell_schedule",
    params(
        OwnerAndName,
        ("text" = Option<String>, Query, description = "The schedule, such as `daily`; that of the scraper where it is missing"),
    ),
    responses(
        (status = 200, body = Turns),
        (status = 400, body = Problem, description = "It is no schedule", content_type = "application/problem+json"),
        (status = 404, body = Problem, description = "The scraper has none", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn turns(
    State(app): State<Arc<App>>,
    Of(id): Of,
    params: Params,
) -> Result<Json<Turns>, Problem> {
    let text = match params.text("text") {
        "" => app.runner.registry().scraper(&id).await?.settings.schedule,
        text => Some(text.to_owned()),
    };
    let missing = || {
        Problem::not_found(format!(
            "{id} has no schedule; give one as the parameter \"text\""
        ))
    };
    let schedule = Schedule::parse(&text.ok_or_else(missing)?)
        .map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(Json(Turns {
        next: next(&schedule, &id, clock::now()).map(rfc3339).collect(),
        schedule: schedule.to_string(),
    }))
}

/// The scraper's place in an interval follows from its name in small letters, as in the registry.
fn next(schedule: &Schedule, id: &ScraperId, now: Timestamp) -> impl Iterator<Item = Timestamp> {
    let name = id.to_string().to_ascii_lowercase();
    let first = schedule.first_after(&name, now);
    std::iter::successors(first, move |last| schedule.first_after(&name, *last)).take(TURNS)
}
