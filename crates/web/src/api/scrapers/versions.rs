use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use registry::Scope;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Of, OwnerAndName};
use crate::api::refusals::{Full, Guarded, Missing, TooLarge};
use crate::api::wire::VersionBody;
use crate::params::Segments;
use crate::problem::Problem;
use crate::spool;
use crate::state::App;
use crate::visitor::Visitor;

/// Bytes of a file of data that is sent at most: 4 GiB. The runner may allow less.
pub(super) const MAX_DATA_BYTES: u64 = 4 << 30;

/// The versions of a scraper's data that are kept, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Versions {
    versions: Vec<VersionBody>,
}

/// The version that the path names.
#[derive(Deserialize)]
pub(crate) struct Which {
    version: u64,
}

/// The versions of a scraper's data that are kept, newest first.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/versions", tag = "scrapers", operation_id = "list_versions",
    params(OwnerAndName),
    responses(
        (status = 200, body = Versions),
        Missing,
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, Of(id): Of) -> Result<Json<Versions>, Problem> {
    let registry = app.runner.registry();
    let scraper = registry.scraper(&id).await?;
    let versions = registry.versions(&scraper.id).await?;
    Ok(Json(Versions {
        versions: versions.iter().map(VersionBody::from).collect(),
    }))
}

/// Puts an older version in force again, as a new version.
#[utoipa::path(
    post, path = "/api/v1/scrapers/{owner}/{name}/versions/{version}/restore", tag = "scrapers", operation_id = "restore_version",
    params(
        OwnerAndName,
        ("version" = u64, Path, description = "Its number"),
    ),
    responses(
        (status = 201, body = VersionBody),
        Guarded,
        Missing,
    )
)]
pub(crate) async fn restore(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Segments(which): Segments<Which>,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let version = app.runner.restore(&id, which.version).await?;
    Ok((StatusCode::CREATED, Json(VersionBody::from(&version))))
}

/// Puts a `data.sqlite` in force that no run left. It is checked like what a run leaves.
#[utoipa::path(
    put, path = "/api/v1/scrapers/{owner}/{name}/data", tag = "scrapers", operation_id = "import_data",
    params(OwnerAndName),
    request_body(content = Vec<u8>, content_type = "application/vnd.sqlite3"),
    responses(
        (status = 201, body = VersionBody),
        (status = 400, body = Problem, description = "It is no SQLite database", content_type = "application/problem+json"),
        Guarded,
        Missing,
        TooLarge,
        Full,
    )
)]
pub(crate) async fn import(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let scraper = app.runner.registry().scraper(&id).await?;
    let file = spool::to_file(&app, body.into_data_stream(), MAX_DATA_BYTES).await?;
    let version = app.runner.import_data(&scraper.id, &file).await?;
    Ok((StatusCode::CREATED, Json(VersionBody::from(&version))))
}
