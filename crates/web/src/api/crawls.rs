use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use crawldb::{Approval, Crawl, CrawlKind};
use crawler::{Progress, StartedCrawl};
use model::{CrawlId, SourceId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::wire::{CrawlBody, ScopeBody};
use crate::clock;
use crate::params::{Body, Named, Params, Unread, segment};
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

/// How a crawl begins.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NewCrawl {
    /// `full` (the default), or `incremental`: only what the source says has changed; it never deletes.
    #[schema(value_type = String, example = "full")]
    kind: CrawlKind,
}

/// The crawl that began, or its place among those that wait.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum StartedBody {
    /// It runs.
    Running(Box<CrawlBody>),
    /// It waits for others.
    Waiting {
        /// So many are before it.
        queued: usize,
    },
}

/// Starts a crawl of a source, or puts it behind the one that runs, as the source's settings say. The body may be
/// empty: a full crawl.
#[utoipa::path(
    post, path = "/api/v1/sources/{source}/crawls", tag = "crawls", operation_id = "start_crawl",
    params(("source" = String, Path, description = "Its id")),
    request_body = NewCrawl,
    responses(
        (status = 202, body = StartedBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "One runs already, or it is a feed", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
    new: Unread<NewCrawl>,
) -> Result<impl IntoResponse, Problem> {
    let mut headers = HeaderMap::new();
    let new = new.read_or_default().await?;
    let body = match app.crawler.start(&id, new.kind).await? {
        StartedCrawl::Queued(queued) => StartedBody::Waiting { queued },
        StartedCrawl::Running(crawl) => {
            let place = format!("/api/v1/crawls/{}", segment(crawl.as_str()));
            headers.extend(place.parse().ok().map(|place| (header::LOCATION, place)));
            StartedBody::Running(Box::new(CrawlBody::from(&existing(&app, &crawl).await?)))
        }
    };
    Ok((StatusCode::ACCEPTED, headers, Json(body)))
}

/// The scopes of a crawl.
#[derive(Serialize, ToSchema)]
pub(crate) struct Scopes {
    scopes: Vec<ScopeBody>,
}

/// How far a crawl is in each scope, by name; on sites, a scope is a host.
#[utoipa::path(
    get, path = "/api/v1/crawls/{crawl}/scopes", tag = "crawls", operation_id = "list_scopes",
    params(("crawl" = String, Path, description = "Its id")),
    responses(
        (status = 200, body = Scopes),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn scopes(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
) -> Result<Json<Scopes>, Problem> {
    let crawl = recorded(&app, &id).await?;
    let counts = app.crawldb().scopes(&id).await?;
    let scopes = counts
        .iter()
        .map(|count| ScopeBody::of(count, &crawl.enumeration));
    Ok(Json(Scopes {
        scopes: scopes.collect(),
    }))
}

/// Who approves, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewApproval {
    by: String,
    reason: String,
}

/// Approves the deletions of a crawl that a guard blocked. They are carried out soon.
#[utoipa::path(
    post, path = "/api/v1/crawls/{crawl}/approve", tag = "crawls", operation_id = "approve_crawl",
    params(("crawl" = String, Path, description = "Its id")),
    request_body = NewApproval,
    responses(
        (status = 200, body = CrawlBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "It is not blocked", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
    Body(new): Body<NewApproval>,
) -> Result<Json<CrawlBody>, Problem> {
    let crawl = approved(&app, &id, &new.by, &new.reason).await?;
    Ok(Json(CrawlBody::from(&crawl)))
}

/// The crawl with the approval of `by`.
pub(crate) async fn approved(app: &App, id: &CrawlId, by: &str, reason: &str) -> Result<Crawl, Problem> {
    recorded(app, id).await?;
    let approval = Approval {
        by: needed("by", by)?,
        reason: needed("reason", reason)?,
        at: clock::now(),
    };
    let crawl = app.ledger.approve(id, &approval).await?;
    app.attention.forget();
    Ok(crawl)
}

/// What a person must say to decide something.
pub(crate) fn needed(what: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Problem::bad_request(format!(
            "{what:?} is missing: say who decides, and why; both are kept"
        )));
    }
    Ok(text.to_owned())
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
    at_present(app, recorded(app, id).await?).await
}

async fn recorded(app: &App, id: &CrawlId) -> Result<Crawl, Problem> {
    let crawl = app.crawldb().crawl(id).await?;
    crawl.ok_or_else(|| Problem::not_found(format!("crawl {id} does not exist; /crawls shows all")))
}

/// The newest crawls as they are now, newest first.
pub(crate) async fn newest(
    app: &App,
    source: Option<&SourceId>,
    limit: usize,
) -> Result<Vec<Crawl>, Problem> {
    let mut crawls = Vec::new();
    for crawl in app.crawldb().crawls(source, limit).await? {
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
        totals: app.crawldb().totals(&crawl.id).await?,
        ..crawl
    })
}
