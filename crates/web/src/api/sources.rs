use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use crawldb::{Counts, DeletionCapability, ItemState, RetryPolicy, Revision, SiteSettings, Source};
use model::{Host, PageUrl, SourceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::crawls;
use crate::api::wire::{CrawlBody, NewSource, SourceBody};
use crate::clock;
use crate::params::{Body, Named, segment};
use crate::problem::Problem;
use crate::state::App;

/// Characters of a source's name at most.
const MAX_NAME: usize = 200;

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
    let sources = app.crawldb.sources().await?;
    Ok(Json(Sources {
        sources: sources.iter().map(SourceBody::from).collect(),
    }))
}

/// Adds a source. What is left out has its default.
#[utoipa::path(
    post, path = "/api/v1/sources", tag = "sources", operation_id = "add_source", request_body = NewSource,
    responses(
        (status = 201, body = SourceBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "It exists", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Body(new): Body<NewSource>,
) -> Result<impl IntoResponse, Problem> {
    let site = SiteSettings::try_from(new.site)?;
    let source = app
        .crawldb
        .add_source(described(new.id, new.name, site, new.retry.into())?)
        .await?;
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

/// Deletes a source with its crawls and items. Packs stay as they are.
#[utoipa::path(
    delete, path = "/api/v1/sources/{source}", tag = "sources", operation_id = "delete_source",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "A crawl of it runs", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<StatusCode, Problem> {
    existing(&app, &id).await?;
    app.crawldb.delete_source(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Starts a crawl of a source.
#[utoipa::path(
    post, path = "/api/v1/sources/{source}/crawls", tag = "crawls", operation_id = "start_crawl",
    params(("source" = String, Path, description = "Its id")),
    responses(
        (status = 202, body = CrawlBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "One runs already", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn crawl(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<impl IntoResponse, Problem> {
    let crawl = app.crawler.start(&id).await?;
    let place = format!("/api/v1/crawls/{}", segment(crawl.as_str()));
    let crawl = crawls::existing(&app, &crawl).await?;
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, place)],
        Json(CrawlBody::from(&crawl)),
    ))
}

/// The source, or the problem that there is none.
pub(crate) async fn existing(app: &App, id: &SourceId) -> Result<Source, Problem> {
    let source = app.crawldb.source(id).await?;
    source.ok_or_else(|| Problem::not_found(format!("source {id} does not exist; /sources shows all")))
}

/// A source as its owner describes it, named after the host of its first start URL where it has no id.
pub(crate) fn described(
    id: Option<String>,
    name: Option<String>,
    site: SiteSettings,
    retry: RetryPolicy,
) -> Result<Source, Problem> {
    let first = site.start.first().map(PageUrl::host);
    let first = first
        .ok_or_else(|| Problem::bad_request("give at least one start URL, such as https://example.gov/"))?;
    let id = match id {
        Some(id) => SourceId::new(id)?,
        None => SourceId::from_words(first.as_str())?,
    };
    if name.as_ref().is_some_and(|name| name.chars().count() > MAX_NAME) {
        return Err(Problem::bad_request(format!(
            "the name of a source has at most {MAX_NAME} characters"
        )));
    }
    for host in &site.hosts {
        Host::new(host)?;
    }
    Ok(Source {
        name: name.unwrap_or_else(|| id.to_string()),
        id,
        revision: Revision::NEW,
        configuration: 1,
        site,
        bucket: None,
        retry,
        deletion: DeletionCapability::default(),
        last_crawl_start: None,
        active_crawl: None,
        lock_epoch: 0,
        created_at: clock::now(),
    })
}

/// How many items of the source are in which state, states without items left out.
pub(crate) async fn states(app: &App, id: &SourceId) -> Result<Vec<(ItemState, u64)>, Problem> {
    let Counts { by_state, .. } = app.crawldb.store().counts(id, None).await?;
    let in_order = crate::api::wire::STATES
        .iter()
        .filter_map(|(state, _)| by_state.get(state).map(|(items, _)| (*state, *items)));
    Ok(in_order.filter(|(_, items)| *items > 0).collect())
}
