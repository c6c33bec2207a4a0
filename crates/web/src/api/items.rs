use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use crawldb::{Item, ItemState, Scan};
use model::{CrawlId, ItemId, SourceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::sources;
use crate::api::wire::{ItemBody, STATES};
use crate::params::{Named, Params};
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 1_000;

/// Items in the order of their ids.
#[derive(Serialize, ToSchema)]
pub(crate) struct Items {
    items: Vec<ItemBody>,
    /// Give it as `after` for the items that follow; missing where there are none.
    next: Option<String>,
}

/// The items of a source, in the order of their ids.
#[utoipa::path(
    get, path = "/api/v1/sources/{source}/items", tag = "items", operation_id = "list_items",
    params(
        ("source" = String, Path, description = "Its id"),
        ("state" = Option<String>, Query, description = "Only items in this state, such as `escalated`"),
        ("crawl" = Option<String>, Query, description = "Only items that this crawl touched last"),
        ("after" = Option<String>, Query, description = "Only items after this id: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 50 where it is missing"),
    ),
    responses(
        (status = 200, body = Items),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    Named(source): Named<SourceId>,
    params: Params,
) -> Result<Json<Items>, Problem> {
    let slice = Slice::of(&app, &source, &params).await?;
    let items = slice.items.iter().map(ItemBody::from).collect();
    Ok(Json(Items {
        items,
        next: slice.next.map(String::from),
    }))
}

/// One item.
#[utoipa::path(
    get, path = "/api/v1/sources/{source}/item", tag = "items", operation_id = "get_item",
    params(
        ("source" = String, Path, description = "The id of the source"),
        ("id" = String, Query, description = "The id of the item: on sites, its URL"),
    ),
    responses(
        (status = 200, body = ItemBody),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Named(source): Named<SourceId>,
    params: Params,
) -> Result<Json<ItemBody>, Problem> {
    Ok(Json(ItemBody::from(&existing(&app, &source, &params).await?)))
}

/// The item that the parameter `id` names, or the problem that there is none.
pub(crate) async fn existing(app: &App, source: &SourceId, params: &Params) -> Result<Item, Problem> {
    let id: Option<ItemId> = params.parsed("id")?;
    let id = id.ok_or_else(|| {
        Problem::bad_request("the parameter \"id\" names the item; on sites, it is the URL")
    })?;
    let item = app.crawldb().item(source, &id).await?;
    item.ok_or_else(|| Problem::not_found(format!("source {source} has no item {id}")))
}

/// Some items, and where the next ones begin.
pub(crate) struct Slice {
    pub(crate) items: Vec<Item>,
    pub(crate) state: Option<ItemState>,
    pub(crate) crawl: Option<CrawlId>,
    pub(crate) next: Option<ItemId>,
}

impl Slice {
    pub(crate) async fn of(app: &App, source: &SourceId, params: &Params) -> Result<Self, Problem> {
        sources::existing(app, source).await?;
        let state = state(params)?;
        let crawl: Option<CrawlId> = params.parsed("crawl")?;
        let after: Option<ItemId> = params.parsed("after")?;
        let limit = params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
        // One more than is shown tells whether there are more.
        let scan = Scan {
            states: state.as_slice(),
            crawl: crawl.as_ref(),
            after: after.as_ref(),
            ..Scan::all(source, limit + 1)
        };
        let mut items = app.crawldb().items(&scan).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|item| item.id.clone());
        Ok(Self {
            items,
            state,
            crawl,
            next,
        })
    }
}

fn state(params: &Params) -> Result<Option<ItemState>, Problem> {
    let asked = params.text("state");
    if asked.is_empty() {
        return Ok(None);
    }
    let known = STATES.iter().find(|(_, name)| *name == asked);
    known.map(|(state, _)| Some(*state)).ok_or_else(|| {
        let names: Vec<&str> = STATES.iter().map(|(_, name)| *name).collect();
        Problem::bad_request(format!("the parameter \"state\" is one of {}", names.join(", ")))
    })
}
