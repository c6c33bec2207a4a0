use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use crawldb::Crawl;
use crawler::Progress;
use model::{CrawlId, SourceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::wire::CrawlBody;
use crate::params::{Named, Params};
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// Crawls, newest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Crawls {
    crawls: Vec<CrawlBody>,
}

/// The newest crawls, of one source or of all.
#[utoipa::path(
    get, path = "/api/v1/crawls", tag = "crawls", operation_id = "list_crawls",
    params(
        ("source" = Option<String>, Query, description = "Only crawls of this source"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = Crawls),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<Crawls>, Problem> {
    let source: Option<SourceId> = params.parsed("source")?;
    let limit = params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
    let crawls = newest(&app, source.as_ref(), limit).await?;
    Ok(Json(Crawls {
        crawls: crawls.iter().map(CrawlBody::from).collect(),
    }))
}

/// One crawl, with its totals of this moment.
#[utoipa::path(
    get, path = "/api/v1/crawls/{crawl}", tag = "crawls", operation_id = "get_crawl",
    params(("crawl" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = CrawlBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
) -> Result<Json<CrawlBody>, Problem> {
    Ok(Json(CrawlBody::from(&existing(&app, &id).await?)))
}

/// Cancels a crawl. What is being fetched ends first.
#[utoipa::path(
    post, path = "/api/v1/crawls/{crawl}/cancel", tag = "crawls", operation_id = "cancel_crawl",
    params(("crawl" = String, Path, description = "Its id")),
    responses(
        (status = 202, description = "It will end"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "It is over", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
) -> Result<StatusCode, Problem> {
    end(&app, &id).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Cancels the crawl if it runs.
pub(crate) async fn end(app: &App, id: &CrawlId) -> Result<(), Problem> {
    if existing(app, id).await?.status.is_over() {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            format!("crawl {id} is over already"),
        ));
    }
    if app.crawler.cancel(id) {
        return Ok(());
    }
    let detail =
        format!("crawl {id} is not run by this server, or is ending already; cancel it where it runs");
    Err(Problem::new(StatusCode::CONFLICT, detail))
}

/// The crawl as it is now, or the problem that there is none.
pub(crate) async fn existing(app: &App, id: &CrawlId) -> Result<Crawl, Problem> {
    let crawl = app.crawldb.crawl(id).await?;
    let missing = || Problem::not_found(format!("crawl {id} does not exist; /crawls shows all"));
    at_present(app, crawl.ok_or_else(missing)?).await
}

/// The newest crawls as they are now, newest first.
pub(crate) async fn newest(
    app: &App,
    source: Option<&SourceId>,
    limit: usize,
) -> Result<Vec<Crawl>, Problem> {
    let mut crawls = Vec::new();
    for crawl in app.crawldb.crawls(source, limit).await? {
        crawls.push(at_present(app, crawl).await?);
    }
    Ok(crawls)
}

/// The record of a crawl gets its figures when it ends; before, the crawler has them, or they are counted.
async fn at_present(app: &App, crawl: Crawl) -> Result<Crawl, Problem> {
    if crawl.status.is_over() {
        return Ok(crawl);
    }
    if let Some(progress) = app.crawler.progress(&crawl.id) {
        let Progress {
            totals,
            fetches,
            fetched_bytes,
            ..
        } = *progress.borrow();
        let (fetches, fetched_bytes) = (fetches.max(crawl.fetches), fetched_bytes.max(crawl.fetched_bytes));
        return Ok(Crawl {
            totals,
            fetches,
            fetched_bytes,
            ..crawl
        });
    }
    Ok(Crawl {
        totals: app.crawldb.totals(&crawl.id).await?,
        ..crawl
    })
}
