use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use crawldb::{Counts, ItemState, Settings, Source};
use model::SourceId;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::wire::{ChangedSource, ConfigurationBody, NewSource, SourceBody};
use crate::clock;
use crate::params::{Body, Named, segment};
use crate::problem::Problem;
use crate::settings::{changed, described};
use crate::state::App;

/// All sources.
#[derive(Serialize, ToSchema)]
pub(crate) struct Sources {
    sources: Vec<SourceBody>,
}

/// All sources by id.
#[utoipa::path(
    get, path = "/api/v1/sources", tag = "sources", operation_id = "list_sources",
    responses((status = 200, body = Sources))
)]
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Json<Sources>, Problem> {
    let sources = app.crawldb().sources().await?;
    Ok(Json(Sources {
        sources: sources.iter().map(SourceBody::from).collect(),
    }))
}

/// Adds a source: a site, a bucket, a feed. What is left out has its default.
///
/// A folder of the server's machine can be added where the server allows a folder above it.
#[utoipa::path(
    post, path = "/api/v1/sources", tag = "sources", operation_id = "add_source", request_body = NewSource,
    responses(
        (status = 201, body = SourceBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, description = "A folder that is not allowed", content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "It exists", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Body(new): Body<NewSource>,
) -> Result<impl IntoResponse, Problem> {
    let (id, settings) = described(&app, new.id, Settings::try_from(new.settings)?).await?;
    let source = app.crawldb().add_source(id, settings, clock::now()).await?;
    let place = format!("/api/v1/sources/{}", segment(source.id.as_str()));
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, place)],
        Json(SourceBody::from(&source)),
    ))
}

/// One source.
#[utoipa::path(
    get, path = "/api/v1/sources/{source}", tag = "sources", operation_id = "get_source",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = SourceBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<Json<SourceBody>, Problem> {
    Ok(Json(SourceBody::from(&existing(&app, &id).await?)))
}

/// Changes the settings of a source. Crawls that run go on with those that they began with.
#[utoipa::path(
    put, path = "/api/v1/sources/{source}", tag = "sources", operation_id = "change_source",
    params(("source" = String, Path, description = "Its id")),
    request_body = ChangedSource,
    responses(
        (status = 200, body = SourceBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "Somebody changed them meanwhile", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
    Body(body): Body<ChangedSource>,
) -> Result<Json<SourceBody>, Problem> {
    let before = existing(&app, &id).await?;
    let settings = changed(&app, &before.settings, Settings::try_from(body.settings)?).await?;
    let source = app
        .crawldb()
        .update_source(&id, body.configuration, settings, clock::now())
        .await?;
    Ok(Json(SourceBody::from(&source)))
}

/// Every version of the settings of a source.
#[derive(Serialize, ToSchema)]
pub(crate) struct Configurations {
    configurations: Vec<ConfigurationBody>,
}

/// The versions of the settings of a source by number.
#[utoipa::path(
    get, path = "/api/v1/sources/{source}/configurations", tag = "sources", operation_id = "list_configurations",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Configurations),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn configurations(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<Json<Configurations>, Problem> {
    existing(&app, &id).await?;
    let configurations = app.crawldb().configurations(&id).await?;
    Ok(Json(Configurations {
        configurations: configurations.iter().map(ConfigurationBody::from).collect(),
    }))
}

/// Begins the deletion of a source: its references in documents go, then its items and crawls, then itself. Packs that
/// it shares with other sources are built without it.
#[utoipa::path(
    delete, path = "/api/v1/sources/{source}", tag = "sources", operation_id = "delete_source",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 202, body = SourceBody, description = "It is being deleted"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "A crawl of it runs", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<impl IntoResponse, Problem> {
    let source = app.crawldb().begin_deletion(&id, clock::now()).await?;
    Ok((StatusCode::ACCEPTED, Json(SourceBody::from(&source))))
}

/// The source, or the problem that there is none.
pub(crate) async fn existing(app: &App, id: &SourceId) -> Result<Source, Problem> {
    let source = app.crawldb().source(id).await?;
    source.ok_or_else(|| Problem::not_found(format!("source {id} does not exist; /sources shows all")))
}

/// How many items of the source are in which state, states without items left out.
pub(crate) async fn states(app: &App, id: &SourceId) -> Result<Vec<(ItemState, u64)>, Problem> {
    let Counts { by_state, .. } = app.crawldb().store().counts(id, None).await?;
    let in_order = crate::api::wire::STATES
        .iter()
        .filter_map(|(state, _)| by_state.get(state).map(|(items, _)| (*state, *items)));
    Ok(in_order.filter(|(_, items)| *items > 0).collect())
}
