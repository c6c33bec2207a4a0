//! What is searched, by URL, and the indexes that it is in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use crawldb::{Document, IndexName};
use model::PageUrl;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::replays::ReplayBody;
use crate::api::wire::DocumentBody;
use crate::params::{Body, Params};
use crate::problem::Problem;
use crate::replays::Work;
use crate::state::App;

/// The document of a URL, with the references of all sources.
#[utoipa::path(
    get, path = "/api/v1/documents", tag = "documents", operation_id = "get_document",
    params(
        ("url" = String, Query, description = "The URL"),
        ("index" = Option<String>, Query, description = "In which index; the one in force where it is missing"),
    ),
    responses(
        (status = 200, body = DocumentBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn get(State(app): State<Arc<App>>, params: Params) -> Result<Json<DocumentBody>, Problem> {
    let url = PageUrl::parse(params.text("url"))?;
    let index = match params.parsed("index")? {
        Some(index) => index,
        None => app.crawldb().documents().index_in_force().await?,
    };
    let document = find(&app, &index, &url).await?;
    let document =
        document.ok_or_else(|| Problem::not_found(format!("the index {index} has no document of {url}")))?;
    Ok(Json(DocumentBody::of(&index, &document)))
}

/// The document of a URL, where there is one.
pub(crate) async fn find(app: &App, index: &IndexName, url: &PageUrl) -> Result<Option<Document>, Problem> {
    let urls = std::slice::from_ref(url);
    let mut found = app.crawldb().documents().get_documents(index, urls).await?;
    Ok(found.pop().flatten())
}

/// The indexes that are known here.
#[derive(Serialize, ToSchema)]
pub(crate) struct Indexes {
    indexes: Vec<IndexBody>,
    /// The rebuild that runs, or the last one since this server began.
    rebuild: Option<ReplayBody>,
}

/// One index of documents.
#[derive(Serialize, ToSchema)]
#[schema(as = Index)]
pub(crate) struct IndexBody {
    pub(crate) name: String,
    /// Whether it is the one that is searched.
    pub(crate) in_force: bool,
    /// Documents that are alive.
    pub(crate) documents: u64,
}

/// The index in force, those that replays wrote since this server began, and the one that is asked for.
#[utoipa::path(
    get, path = "/api/v1/indexes", tag = "documents", operation_id = "list_indexes",
    params(("index" = Option<String>, Query, description = "Also this one")),
    responses((status = 200, body = Indexes))
)]
pub(crate) async fn indexes(State(app): State<Arc<App>>, params: Params) -> Result<Json<Indexes>, Problem> {
    let asked: Option<IndexName> = params.parsed("index")?;
    let in_force = app.crawldb().documents().index_in_force().await?;
    let mut names = app.replays.targets();
    names.extend(asked);
    names.retain(|name| *name != in_force);
    names.sort_unstable();
    names.dedup();
    let mut indexes = Vec::with_capacity(names.len() + 1);
    for name in std::iter::once(&in_force).chain(&names) {
        indexes.push(IndexBody {
            name: name.to_string(),
            in_force: *name == in_force,
            documents: app.crawldb().documents().count_documents(name).await?,
        });
    }
    let rebuild = app.replays.of(None);
    Ok(Json(Indexes {
        indexes,
        rebuild: rebuild.as_ref().map(ReplayBody::from),
    }))
}

/// An index to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIndex {
    /// 1 to 64 of a-z, 0-9 and '-'.
    name: String,
}

/// Makes an index from the logs of all sources in the background, puts it in force, and catches up with what was
/// written meanwhile; one at a time.
#[utoipa::path(
    post, path = "/api/v1/indexes", tag = "documents", operation_id = "rebuild_index", request_body = NewIndex,
    responses(
        (status = 202, body = ReplayBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "A rebuild runs", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn rebuild(
    State(app): State<Arc<App>>,
    Body(new): Body<NewIndex>,
) -> Result<impl IntoResponse, Problem> {
    let name = IndexName::new(new.name).map_err(|error| Problem::bad_request(error.to_string()))?;
    let job = app.replays.begin(&app, Work::All(name)).ok_or_else(|| {
        Problem::new(
            StatusCode::CONFLICT,
            "a rebuild of the index runs; wait for its end",
        )
    })?;
    Ok((StatusCode::ACCEPTED, Json(ReplayBody::from(&job))))
}

/// Which index takes the place of which.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Switch {
    /// The one in force; if it is another one by now, nothing happens.
    current: String,
    /// The one that is to be.
    next: String,
}

/// Puts another index in force. What was written to the first one since the other was replayed is not in it: a rebuild
/// does both without a gap.
#[utoipa::path(
    post, path = "/api/v1/indexes/switch", tag = "documents", operation_id = "switch_index", request_body = Switch,
    responses(
        (status = 200, body = IndexBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, description = "Another one is in force, or the next one is empty", content_type = "application/problem+json"),
    )
)]
pub(crate) async fn switch(
    State(app): State<Arc<App>>,
    Body(switch): Body<Switch>,
) -> Result<Json<IndexBody>, Problem> {
    let name = |text: String| IndexName::new(text).map_err(|error| Problem::bad_request(error.to_string()));
    let (current, next) = (name(switch.current)?, name(switch.next)?);
    let stores = app.crawldb().documents();
    stores.refresh_documents().await?;
    let documents = stores.count_documents(&next).await?;
    if documents == 0 {
        let detail = format!("the index {next} is empty; replay the sources into it first");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    app.ledger.switch_index(&current, &next).await?;
    Ok(Json(IndexBody {
        name: next.to_string(),
        in_force: true,
        documents,
    }))
}
