//! Pages for people: plain HTML that works without scripts.

mod chart;
pub(crate) mod crawls;
pub(crate) mod items;
mod layout;
pub(crate) mod packages;
pub(crate) mod packs;
pub(crate) mod problem;
pub(crate) mod search;
pub(crate) mod sources;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::state::App;

/// Every page.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(search::page))
        .route("/sources", get(sources::list).post(sources::add))
        .route("/sources/new", get(sources::new))
        .route("/sources/{source}", get(sources::page))
        .route("/sources/{source}/crawl", post(sources::crawl))
        .route("/sources/{source}/delete", post(sources::delete))
        .route("/sources/{source}/items", get(items::list))
        .route("/sources/{source}/item", get(items::page))
        .route("/crawls", get(crawls::list))
        .route("/crawls/{crawl}", get(crawls::page))
        .route("/crawls/{crawl}/cancel", post(crawls::cancel))
        .route("/packs", get(packs::list))
        .route("/packages", get(packages::list).post(packages::add))
        .route("/packages/new", get(packages::new))
        .route("/packages/{name}", get(packages::page))
        .route("/packages/{name}/delete", post(packages::delete))
}
