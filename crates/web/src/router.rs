use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};

use crate::state::{App, Deps};
use crate::{MAX_BODY_BYTES, api, assets, guard, health, metrics, pages, problem};

/// The media type of packs; they hold compressible text but are read in ranges.
pub(crate) const PACK_MEDIA_TYPE: &str = "application/vnd.sqlite3";

/// Everything that Haul answers, asking the parts in `deps`.
pub fn router(deps: Deps) -> Router {
    let app = App::new(deps);
    let compressible = DefaultPredicate::new().and(NotForContentType::const_new(PACK_MEDIA_TYPE));
    // The last layer is the first to see a request.
    pages::router()
        .merge(api::router())
        .merge(operations())
        .fallback(guard::no_such_path)
        .method_not_allowed_fallback(guard::no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn(guard::limit_time))
        .layer(from_fn(guard::refuse_cross_site))
        .layer(from_fn_with_state(Arc::clone(&app), guard::refuse_other_names))
        .layer(from_fn(problem::present))
        .layer(CompressionLayer::new().compress_when(compressible))
        .layer(map_response(guard::harden))
        .layer(from_fn_with_state(Arc::clone(&app), metrics::observe))
        .with_state(app)
}

/// What operators and their programs ask.
fn operations() -> Router<Arc<App>> {
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/assets/{edition}/{name}", get(assets::serve))
}
