use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use model::ScraperId;
use registry::{NewScraper, Origin, RegistryError, Scraper, ScraperSettings};
use runner::MAX_UPLOAD_BYTES;

use super::{Of, may_be_made};
use crate::api::wire::ScraperBody;
use crate::clock;
use crate::problem::Problem;
use crate::spool;
use crate::state::App;
use crate::visitor::Visitor;

/// Sends a scraper's code: a tar archive of its folder. A scraper that is not there is made.
#[utoipa::path(
    put, path = "/api/v1/scrapers/{owner}/{name}/code", tag = "scrapers", operation_id = "send_code",
    params(("owner" = String, Path, description = "Whose scraper"), ("name" = String, Path, description = "Its name")),
    request_body(content = Vec<u8>, content_type = "application/x-tar"),
    responses(
        (status = 200, body = ScraperBody, description = "Its next run uses this code"),
        (status = 201, body = ScraperBody, description = "It was made"),
        (status = 400, body = Problem, description = "It is no tar archive", content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 403, body = Problem, content_type = "application/problem+json"),
        (status = 413, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    body: Body,
) -> Result<impl IntoResponse, Problem> {
    may_be_made(&app, &visitor, &id).await?;
    let before = match app.runner.registry().scraper(&id).await {
        Ok(scraper) => Some(scraper),
        Err(RegistryError::NotFound { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let file = spool::to_file(body.into_data_stream(), MAX_UPLOAD_BYTES).await?;
    let checksum = app.runner.upload(&id, &file).await?;
    let status = match before {
        Some(_) => StatusCode::OK,
        None => StatusCode::CREATED,
    };
    let scraper = with_code(&app, id, before, Origin::Upload { checksum }).await?;
    Ok((status, Json(ScraperBody::from(&scraper))))
}

async fn with_code(
    app: &App,
    id: ScraperId,
    before: Option<Scraper>,
    origin: Origin,
) -> Result<Scraper, Problem> {
    let (registry, now) = (app.runner.registry(), clock::now());
    let made = match before {
        Some(before) => {
            registry
                .change_scraper(&before.id, origin, before.settings, now)
                .await
        }
        None => {
            let settings = ScraperSettings::default();
            let new = NewScraper { id, origin, settings };
            registry.add_scraper(new, now).await
        }
    };
    Ok(made?)
}
