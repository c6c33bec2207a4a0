//! What is here, how it is, and what was slow.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::Html;
use serde::Serialize;

use crate::http::app::App;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::slow::Slow;

/// `/`: what is here.
pub(super) async fn home() -> Html<&'static str> {
    Html(include_str!("home.html"))
}

/// How the server is.
#[derive(Serialize)]
pub(super) struct Health {
    revision: u64,
    committed: u64,
    packages: usize,
    edges: usize,
    store: &'static str,
    writable: bool,
}

/// `/health`: 200 as long as the index answers.
pub(super) async fn health(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    let sizes = app.index.sizes();
    if let Some(lost) = sizes.lost {
        return Err(Problem::busy(format!("{lost}; start the server anew")).at(sizes.committed));
    }
    Ok(Json(Health {
        revision: sizes.revision.0,
        committed: sizes.committed.0,
        packages: sizes.packages,
        edges: sizes.edges,
        store: app.index.store_name(),
        writable: app.index.is_writable(),
    }))
}

/// Slow requests.
#[derive(Serialize)]
pub(super) struct SlowRequests {
    revision: u64,
    /// What is called slow.
    threshold_ms: u64,
    /// How many there were since the server began; only the newest are kept.
    count: u64,
    newest: Vec<Slow>,
}

/// `/v1/slow`: the newest requests that took long.
pub(super) async fn slow(State(app): State<Arc<App>>, params: Params) -> Result<Json<SlowRequests>, Problem> {
    params.only(&[])?;
    let (count, newest) = app.slow.newest();
    Ok(Json(SlowRequests {
        revision: app.index.sizes().committed.0,
        threshold_ms: u64::try_from(app.slow.threshold().as_millis()).unwrap_or(u64::MAX),
        count,
        newest,
    }))
}

/// Answers for methods that a path does not have.
pub(super) async fn no_such_method(method: Method) -> Problem {
    let detail = format!("{method} cannot be used on this path; the page at / says what can");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail)
}

/// Answers for paths that do not exist.
pub(super) async fn no_such_path() -> Problem {
    Problem::not_found("there is nothing at this address; the page at / says what is here")
}
