//! Older data, whole.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;

use crate::api::refusals::{Missing, Withheld};
use crate::api::scrapers::OwnerAndName;
use crate::data::access::Granted;
use crate::data::changes::version_number;
use crate::data::params::Sent;
use crate::download::Download;
use crate::params::Segments;
use crate::problem::Problem;
use crate::state::App;

/// The database of one version.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/versions/{version}/data.sqlite", tag = "data", operation_id = "download_version",
    params(
        OwnerAndName,
        ("version" = u64, Path, description = "The number of the version"),
    ),
    responses(
        (status = 200, description = "An SQLite database", content_type = "application/vnd.sqlite3"),
        (status = 206, description = "The range that was asked for"),
        (status = 304, description = "The client holds this version: If-None-Match"),
        Withheld,
        Missing,
    )
)]
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Segments((owner, name, version)): Segments<(String, String, String)>,
    sent: Sent,
    request: Request,
) -> Result<Response, Problem> {
    let granted = Granted::of(&app, &owner, &name, &sent).await?;
    let number = version_number(&version)?;
    let data = app.runner.data(&granted.scraper.id, Some(number)).await?;
    let download = Download::new(
        data.path,
        &data.version.checksum,
        format!("{name}-{number}.sqlite"),
    );
    Ok(granted.mark(download.answer(request).await?))
}
