use std::path::Path;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::ScraperId;
use registry::{NewScraper, Origin, RegistryError, Scraper, ScraperSettings};
use runner::{MAX_UPLOAD_BYTES, RunnerError};

use super::{Of, OwnerAndName, may_be_made};
use crate::api::refusals::{Full, Guarded, TooLarge};
use crate::api::wire::ScraperBody;
use crate::clock;
use crate::problem::Problem;
use crate::spool;
use crate::state::App;
use crate::visitor::Visitor;

/// Sends a scraper's code: a tar archive of its folder. A scraper that is not there is made.
#[utoipa::path(
    put, path = "/api/v1/scrapers/{owner}/{name}/code", tag = "scrapers", operation_id = "send_code",
    params(OwnerAndName),
    request_body(content = Vec<u8>, content_type = "application/x-tar"),
    responses(
        (status = 200, body = ScraperBody, description = "Its next run uses this code"),
        (status = 201, body = ScraperBody, description = "It was made"),
        (status = 400, body = Problem, description = "It is no tar archive", content_type = "application/problem+json"),
        Guarded,
        TooLarge,
        Full,
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    may_be_made(&app, &visitor, &id).await?;
    let file = spool::to_file(&app, body.into_data_stream(), MAX_UPLOAD_BYTES).await?;
    let (status, scraper) = with_code(&app, id, &file).await?;
    Ok((status, Json(ScraperBody::from(&scraper))))
}

/// Its settings may change while the code arrives: they are left alone.
async fn with_code(app: &App, id: ScraperId, file: &Path) -> Result<(StatusCode, Scraper), Problem> {
    let registry = app.runner.registry();
    match app.runner.change_code(&id, file).await {
        Ok(_) => Ok((StatusCode::OK, registry.scraper(&id).await?)),
        Err(RunnerError::Registry(RegistryError::NotFound { .. })) => {
            let checksum = app.runner.upload(&id, file).await?;
            let new = NewScraper {
                id,
                origin: Origin::Upload { checksum },
                settings: ScraperSettings::default(),
            };
            Ok((
                StatusCode::CREATED,
                registry.add_scraper(new, clock::now()).await?,
            ))
        }
        Err(error) => Err(error.into()),
    }
}
