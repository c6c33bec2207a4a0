//! Pages for people: plain HTML that works without scripts.

mod chart;
pub(crate) mod crawls;
mod decisions;
mod escalations;
pub(crate) mod form;
pub(crate) mod items;
pub(crate) mod layout;
mod new_source;
mod orphans;
pub(crate) mod packages;
pub(crate) mod packs;
pub(crate) mod problem;
pub(crate) mod scrapers;
pub(crate) mod search;
mod settings;
pub(crate) mod sources;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::state::App;

/// Every page.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(search::page))
        .route("/sources", get(sources::list).post(new_source::add))
        .route("/sources/new", get(new_source::page))
        .route("/sources/{source}", get(sources::page))
        .route("/sources/{source}/crawl", post(sources::crawl))
        .route("/sources/{source}/delete", post(sources::delete))
        .route("/sources/{source}/replay", post(sources::replay))
        .route(
            "/sources/{source}/settings",
            get(settings::page).post(settings::save),
        )
        .route("/sources/{source}/items", get(items::list))
        .route("/sources/{source}/item", get(items::page))
        .route("/crawls", get(crawls::list))
        .route("/crawls/{crawl}", get(crawls::page))
        .route("/crawls/{crawl}/cancel", post(crawls::cancel))
        .route("/crawls/{crawl}/approve", post(crawls::approve))
        .route("/escalations", get(escalations::list))
        .route("/orphans", get(orphans::list))
        .route("/decisions", post(decisions::take))
        .route("/packs", get(packs::list))
        .route("/packages", get(packages::list).post(packages::add))
        .route("/packages/new", get(packages::new))
        .route("/packages/{name}", get(packages::page))
        .route("/packages/{name}/delete", post(packages::delete))
}
