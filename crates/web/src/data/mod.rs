//! The data of scrapers: SQL in, rows out.
//!
//! Two doors lead to the same [`stream`]. [`morph`] is the API of morph.io, byte for byte, so that its clients need another host and nothing else:
//! `/{owner}/{name}/data.json` and its siblings. [`v1`] and [`versions`] are our own, below `/api/v1/scrapers/{owner}/{name}`: tables without SQL, pages,
//! named queries, NDJSON, versions and what changed between them.
//!
//! An answer begins only when its first piece is there, so what is wrong with a question is said with a status; from there on rows go out as fast as the
//! client takes them, in memory for two pieces. [`desk`] says how many questions may be asked, and how many at a time.

mod access;
mod atom;
mod cross;
mod csv;
mod desk;
mod formats;
mod json;
mod morph;
mod params;
mod ruby;
mod stream;
mod v1;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::{MethodRouter, get, options};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::desk::Desk;
use crate::state::App;

/// Where morph's clients look.
pub(crate) fn router() -> Router<Arc<App>> {
    let shared = |handler: MethodRouter<Arc<App>>| handler.options(cross::preflight);
    Router::new()
        .route("/{owner}/{name}/data.json", shared(get(morph::json)))
        .route("/{owner}/{name}/data.csv", shared(get(morph::csv)))
        .route("/{owner}/{name}/data.atom", shared(get(morph::atom)))
        .route("/{owner}/{name}/data.sqlite", shared(get(morph::sqlite)))
        .layer(from_fn(cross::share))
}

/// Our own paths below a scraper's, which pages of other sites may ask.
const PATHS: [&str; 6] = [
    "tables",
    "tables/{table}",
    "queries/{query}",
    "query",
    "versions/{version}/data.sqlite",
    "changes",
];

/// Our own paths, with their description.
pub(crate) fn described() -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(v1::tables))
        .routes(routes!(v1::table))
        .routes(routes!(v1::named))
        .routes(routes!(v1::ask, v1::ask_at_length))
        .routes(routes!(versions::file))
        .routes(routes!(versions::changes));
    for path in PATHS {
        let path = format!("/api/v1/scrapers/{{owner}}/{{name}}/{path}");
        router = router.route(&path, options(cross::preflight));
    }
    router.layer(from_fn(cross::share))
}
