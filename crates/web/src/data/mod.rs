//! The data of scrapers: SQL in, rows out.
//!
//! Two doors lead to the same [`stream`]. [`morph`] is the API of morph.io, byte for byte, so that its clients need another host and nothing else:
//! `/{owner}/{name}/data.json` and its siblings. [`v1`], [`versions`] and [`changes`] are our own, below `/api/v1/scrapers/{owner}/{name}`: tables without SQL, pages,
//! named queries, NDJSON, versions and what changed between them.
//!
//! An answer begins only when its first piece is there, so what is wrong with a question is said with a status; from there on rows go out as fast as the
//! client takes them, in memory for two pieces. [`desk`] says how many questions may be asked, and how many at a time.

mod access;
mod atom;
pub(crate) mod changes;
mod cross;
mod csv;
pub(crate) mod desk;
mod formats;
mod json;
mod morph;
mod params;
mod refusal;
mod ruby;
mod stream;
mod v1;
mod versions;

use std::sync::Arc;

use axum::middleware::from_fn;
use axum::routing::options;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use self::desk::Desk;
use crate::state::App;

/// What pages of other sites may ask for below a scraper's name, where morph's clients look.
const FORMS: [&str; 4] = ["data.json", "data.csv", "data.atom", "data.sqlite"];

/// The same of our own paths below a scraper's.
const PATHS: [&str; 7] = [
    "tables",
    "tables/{table}",
    "queries/{query}",
    "query",
    "versions/{version}/data.sqlite",
    "versions/{version}/changes",
    "changes",
];

/// Every path of data, with its description.
pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::new()
        .routes(routes!(morph::json))
        .routes(routes!(morph::csv))
        .routes(routes!(morph::atom))
        .routes(routes!(morph::sqlite))
        .routes(routes!(v1::tables))
        .routes(routes!(v1::table))
        .routes(routes!(v1::named))
        .routes(routes!(v1::ask, v1::ask_at_length))
        .routes(routes!(versions::file))
        .routes(routes!(changes::since_run))
        .routes(routes!(changes::since_version));
    let morphs = FORMS.map(|form| format!("/{{owner}}/{{name}}/{form}"));
    let own = PATHS.map(|path| format!("/api/v1/scrapers/{{owner}}/{{name}}/{path}"));
    for path in morphs.iter().chain(&own) {
        router = router.route(path, options(cross::preflight));
    }
    router.layer(from_fn(cross::share))
}
