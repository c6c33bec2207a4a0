//! Scrapers, for people: a list, a page for each, its runs with their logs, and what its owner sets.

mod changes;
mod data;
mod history;
mod hosts;
mod list;
mod log;
mod new;
mod run;
mod scraper;
mod secrets;
mod settings;
mod webhooks;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::{get, post};
use model::{RunId, ScraperId};
use registry::{RegistryError, Scope, Scraper};

use crate::guard::no_such_path;
use crate::params::{Segments, segment};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Every page about scrapers. Their handlers ask themselves who may change what.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/scrapers", get(list::page).post(new::add))
        .route("/scrapers/new", get(new::page))
        .route("/scrapers/{owner}/{name}", get(scraper::page))
        .route("/{owner}/{name}", get(as_at_morph))
        .route("/scrapers/{owner}/{name}/changes", get(changes::page))
        .route("/scrapers/{owner}/{name}/data.sqlite", get(data::download))
        .route("/scrapers/{owner}/{name}/run", post(run::begin))
        .route("/scrapers/{owner}/{name}/pause", post(scraper::pause))
        .route("/scrapers/{owner}/{name}/delete", post(scraper::delete))
        .route("/scrapers/{owner}/{name}/versions", post(scraper::restore))
        .route(
            "/scrapers/{owner}/{name}/settings",
            get(settings::page).post(settings::save),
        )
        .route(
            "/scrapers/{owner}/{name}/secrets",
            get(secrets::page).post(secrets::change),
        )
        .route(
            "/scrapers/{owner}/{name}/webhooks",
            get(webhooks::page).post(webhooks::change),
        )
        .route("/runs/{run}", get(run::page))
        .route("/runs/{run}/stop", post(run::stop))
}

/// Where morph.io has the page of a scraper: bookmarks and feeds lead here.
async fn as_at_morph(
    State(app): State<Arc<App>>,
    Segments((owner, name)): Segments<(String, String)>,
) -> Result<Redirect, Problem> {
    let Ok(id) = ScraperId::try_from(format!("{owner}/{name}")) else {
        return Err(no_such_path().await);
    };
    match app.runner.registry().scraper(&id).await {
        Ok(scraper) => Ok(Redirect::to(&address(&scraper.id))),
        Err(RegistryError::NotFound { .. }) => Err(no_such_path().await),
        Err(error) => Err(error.into()),
    }
}

/// Refuses unless this visitor may see the data: it is opened to everybody, or they may read any.
async fn must_read(app: &App, visitor: &Visitor, scraper: &Scraper) -> Result<(), Problem> {
    if scraper.settings.public {
        return Ok(());
    }
    visitor.must(app, Scope::Data, &scraper.id.owner).await
}

/// Where the page of a scraper is.
fn address(id: &ScraperId) -> String {
    format!(
        "/scrapers/{}/{}",
        segment(id.owner.as_str()),
        segment(id.name.as_str())
    )
}

/// Where the data of a scraper is: the same as at morph.io.
fn data_address(id: &ScraperId, form: &str) -> String {
    format!(
        "/{}/{}/data.{form}",
        segment(id.owner.as_str()),
        segment(id.name.as_str())
    )
}

/// Where the page of a run is.
fn run_address(run: RunId) -> String {
    format!("/runs/{run}")
}
