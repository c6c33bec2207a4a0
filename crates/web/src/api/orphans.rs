//! What complete crawls no longer see.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use crawldb::{Crawl, CrawlStatus, ItemState};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::found::{Found, FoundItems};
use crate::api::wire::CrawlBody;
use crate::params::Params;
use crate::problem::Problem;
use crate::state::App;

/// Candidates, and those on their way out.
pub(crate) const STATES: [ItemState; 2] = [ItemState::OrphanCandidate, ItemState::Deleting];

/// Items that complete crawls missed, and crawls that may not delete them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Orphans {
    #[serde(flatten)]
    found: FoundItems,
    /// Newest crawls of their sources that a guard blocked: they wait for an approval.
    blocked: Vec<CrawlBody>,
}

/// Items that complete crawls missed, by source and id, and the crawls that wait for an approval.
#[utoipa::path(
    get, path = "/api/v1/orphans", tag = "orphans", operation_id = "list_orphans",
    params(
        ("source" = Option<String>, Query, description = "Only items of this source"),
        ("after" = Option<String>, Query, description = "Only items after this one: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = Orphans),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<Orphans>, Problem> {
    let found = Found::of(&app, &STATES, &params).await?;
    let blocked = blocked(&app).await?;
    let of_source = |crawl: &&Crawl| {
        found
            .source
            .as_ref()
            .is_none_or(|source| crawl.id.source() == *source)
    };
    Ok(Json(Orphans {
        blocked: blocked.iter().filter(of_source).map(CrawlBody::from).collect(),
        found: FoundItems::from(&found),
    }))
}

/// The newest crawl of each source where a guard blocked it and nobody approved yet.
pub(crate) async fn blocked(app: &App) -> Result<Vec<Crawl>, Problem> {
    let mut blocked = Vec::new();
    for source in app.crawldb().sources().await? {
        let newest = app.crawldb().crawls(Some(&source.id), 1).await?.pop();
        let waits = |crawl: &Crawl| crawl.status == CrawlStatus::Blocked && crawl.orphans.approval.is_none();
        blocked.extend(newest.filter(waits));
    }
    Ok(blocked)
}
