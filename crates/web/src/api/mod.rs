//! The JSON API, and the document that describes it.

pub(crate) mod crawls;
pub(crate) mod events;
mod i14y;
pub(crate) mod items;
pub(crate) mod packages;
pub(crate) mod packs;
pub(crate) mod search;
pub(crate) mod sources;
pub(crate) mod wire;

use std::sync::Arc;

use axum::Json;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Haul",
        description = "Search packs, and look after the sources and crawls that they come from. \
            Errors are `application/problem+json` (RFC 9457) and say what to do.",
        license(name = "Apache-2.0 OR MIT"),
    ),
    tags(
        (name = "search", description = "Answers from published packs"),
        (name = "packs", description = "The SQLite files themselves"),
        (name = "packages", description = "What is published under a name, and what needs it"),
        (name = "sources", description = "Where content comes from"),
        (name = "crawls", description = "Passes over sources"),
        (name = "items", description = "What became of each thing in a source"),
    )
)]
struct Described;

/// Every path under `/api`, described at `/api/v1/openapi.json`.
pub(crate) fn router() -> axum::Router<Arc<App>> {
    let (router, document) = OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(search::search))
        .routes(routes!(i14y::search))
        .routes(routes!(packs::list))
        .routes(routes!(packs::file))
        .routes(routes!(packages::list))
        .routes(routes!(packages::get, packages::put, packages::delete))
        .routes(routes!(sources::list, sources::add))
        .routes(routes!(sources::get, sources::delete))
        .routes(routes!(sources::crawl))
        .routes(routes!(items::list))
        .routes(routes!(items::get))
        .routes(routes!(crawls::list))
        .routes(routes!(crawls::get))
        .routes(routes!(crawls::cancel))
        .routes(routes!(events::follow))
        .split_for_parts();
    router.route("/api/v1/openapi.json", get(move || async move { Json(document) }))
}
