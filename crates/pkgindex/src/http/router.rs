use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::routing::{get, post};

use crate::http::app::App;
use crate::http::{commands, feed, guard, metrics, pages, questions, transfer};

/// The path whose requests wait on purpose.
pub(super) const CHANGES: &str = "/v1/changes";

/// Every path with its limits.
pub(super) fn router(app: &Arc<App>) -> Router {
    let options = &app.options;
    let within = |time: Duration| from_fn_with_state(time, guard::limit_time);
    let changes = Router::new().route(CHANGES, get(feed::changes));
    let transfers = Router::new()
        .route("/v1/dump", get(transfer::dump))
        .route("/v1/load", post(transfer::load));
    short()
        .route_layer(within(options.answer_time))
        .merge(changes.route_layer(within(options.answer_time + options.wait)))
        .merge(transfers.route_layer(within(options.load_time)))
        .fallback(pages::no_such_path)
        .method_not_allowed_fallback(pages::no_such_method)
        .layer(DefaultBodyLimit::max(options.body_bytes))
        .layer(from_fn(guard::refuse_browsers))
        .layer(from_fn_with_state(Arc::clone(app), guard::observe))
        .layer(map_response(guard::harden))
        .with_state(Arc::clone(app))
}

/// What is answered at once.
fn short() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(pages::home))
        .route("/health", get(pages::health))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/slow", get(pages::slow))
        .route("/v1/package", get(questions::package))
        .route("/v1/dependencies", get(questions::dependencies))
        .route("/v1/dependents", get(questions::dependents))
        .route("/v1/why", get(questions::why))
        .route("/v1/install-order", get(questions::install_order))
        .route("/v1/removal-order", get(questions::removal_order))
        .route("/v1/cycles", get(questions::cycles))
        .route("/v1/orphans", get(questions::orphans))
        .route("/v1/commands", post(commands::commands))
        .route("/v1/batch", post(commands::batch))
}
