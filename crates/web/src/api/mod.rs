//! The JSON API, and the document that describes it.

mod accounts;
pub(crate) mod crawls;
pub(crate) mod documents;
pub(crate) mod escalations;
pub(crate) mod events;
pub(crate) mod found;
mod i14y;
pub(crate) mod items;
mod keys;
pub(crate) mod live;
pub(crate) mod orphans;
pub(crate) mod packages;
pub(crate) mod packs;
pub(crate) mod refusals;
pub(crate) mod replays;
pub(crate) mod scrapers;
pub(crate) mod search;
pub(crate) mod sources;
pub(crate) mod updates;
pub(crate) mod wire;

use std::sync::Arc;

use axum::Json;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::App;
use crate::{data, feed, guard, push, runs};

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
        (name = "live", description = "What sources tell themselves, and how far it is applied"),
        (name = "escalations", description = "What people are asked, and what they decide"),
        (name = "orphans", description = "What complete crawls no longer see"),
        (name = "scrapers", description = "Programs of yours that collect data, and what they may use"),
        (name = "runs", description = "What scrapers did and do"),
        (name = "accounts", description = "Who may do what: people, organisations, and keys for programs"),
        (name = "data", description = "What scrapers brought: tables, questions in SQL, versions"),
        (name = "documents", description = "What is searched, by URL, and the indexes made again from the log"),
    )
)]
struct Described;

/// Every path for programs, described at `/api/v1/openapi.json`.
pub(crate) fn router(app: &Arc<App>) -> axum::Router<Arc<App>> {
    let operators = from_fn_with_state(Arc::clone(app), guard::operators_change);
    let (router, document) = OpenApiRouter::with_openapi(Described::openapi())
        .merge(of_collections().route_layer(operators))
        .merge(scrapers::router())
        .merge(keys::router())
        .merge(accounts::router())
        .merge(runs::router())
        .merge(data::router())
        .merge(feed::router())
        .merge(push::router())
        .split_for_parts();
    router.route("/api/v1/openapi.json", get(move || async move { Json(document) }))
}

/// Search, and what it is made of; operators change it.
fn of_collections() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(i14y::search))
        .routes(routes!(packs::list))
        .routes(routes!(packs::file))
        .routes(routes!(packages::list))
        .routes(routes!(packages::get, packages::put, packages::delete))
        .routes(routes!(sources::list, sources::add))
        .routes(routes!(sources::get, sources::change, sources::delete))
        .routes(routes!(sources::configurations))
        .routes(routes!(crawls::start))
        .routes(routes!(updates::send))
        .routes(routes!(live::get))
        .routes(routes!(escalations::rule))
        .routes(routes!(replays::begin, replays::get))
        .routes(routes!(items::list))
        .routes(routes!(items::get))
        .routes(routes!(crawls::list))
        .routes(routes!(crawls::get))
        .routes(routes!(crawls::cancel))
        .routes(routes!(crawls::approve))
        .routes(routes!(crawls::scopes))
        .routes(routes!(events::follow))
        .routes(routes!(escalations::list))
        .routes(routes!(orphans::list))
        .routes(routes!(documents::get))
        .routes(routes!(documents::indexes, documents::rebuild))
        .routes(routes!(documents::switch))
}
