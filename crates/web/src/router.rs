use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::get;
use prometheus_client::registry::Registry;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use crate::state::{App, Deps};
use crate::{MAX_BODY_BYTES, accounts, api, assets, guard, health, metrics, pages, problem};

/// The media type of packs; they hold compressible text but are read in ranges.
pub(crate) const PACK_MEDIA_TYPE: &str = "application/vnd.sqlite3";

/// Everything that Haul answers, asking the parts in `deps`.
pub fn router(mut deps: Deps) -> Router {
    let store = deps.store.take().unwrap_or_default();
    let app = App::new(deps);
    let compressible = DefaultPredicate::new().and(NotForContentType::const_new(PACK_MEDIA_TYPE));
    // The last layer is the first to see a request.
    let own = pages::router()
        .route_layer(from_fn_with_state(Arc::clone(&app), guard::operators_change))
        .merge(accounts::router())
        .merge(pages::scrapers::router())
        .merge(api::router(&app))
        .merge(for_operators())
        .fallback(guard::no_such_path)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(guard::limit_time))
        .layer(from_fn_with_state(Arc::clone(&app), guard::refuse_other_names))
        .with_state(Arc::clone(&app));
    // The store is for programs, which call it by any name and say who they are.
    own.merge(store)
        .layer(from_fn(guard::refuse_cross_site))
        .layer(from_fn(problem::present))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(map_response(guard::harden))
        .layer(from_fn_with_state(app, metrics::observe))
}

/// What operators and their programs ask.
fn for_operators() -> Router<Arc<App>> {
    Router::new()
        .route("/metrics", get(metrics::of_app))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/assets/{edition}/{name}", get(assets::serve))
}

/// `/metrics` and `/healthz` alone, for a process that serves no pages. Merge with it what the process does serve.
pub fn operations(registry: Registry) -> Router {
    Router::new()
        .route("/metrics", get(metrics::of_registry))
        .with_state(Arc::new(registry))
        .route("/healthz", get(health::alive))
        .layer(from_fn(problem::present))
}
