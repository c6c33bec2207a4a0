//! The runs of a scraper as an Atom feed (RFC 4287): `/{owner}/{name}/runs.atom`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use maud::{Markup, PreEscaped, html};
use model::ScraperId;
use registry::{Run, RunFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::refusals::Missing;
use crate::api::scrapers::{Of, OwnerAndName};
use crate::display::{count, rfc3339};
use crate::params::segment;
use crate::problem::Problem;
use crate::state::App;

/// Runs in a feed.
const RUNS: usize = 50;

pub(crate) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(of_scraper))
}

/// The last 50 runs of a scraper that are over, as a feed.
#[utoipa::path(
    get, path = "/{owner}/{name}/runs.atom", tag = "runs", operation_id = "feed_of_runs",
    params(OwnerAndName),
    responses((status = 200, body = String, content_type = "application/atom+xml"), Missing)
)]
async fn of_scraper(State(app): State<Arc<App>>, Of(id): Of) -> Result<impl IntoResponse, Problem> {
    let registry = app.runner.registry();
    let scraper = registry.scraper(&id).await?;
    let filter = RunFilter {
        scraper: Some(scraper.id.clone()),
        unfinished: Some(false),
        limit: RUNS,
        ..RunFilter::default()
    };
    let runs = registry.runs(filter).await?;
    let feed = feed(&app.access.base, &scraper.id, rfc3339(scraper.created_at), &runs);
    Ok((
        [(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8")],
        feed.into_string(),
    ))
}

/// Every element has an end tag of its own: what maud writes is XML then. A feed without entries is as old as its scraper.
fn feed(base: &str, id: &ScraperId, created: String, runs: &[Run]) -> Markup {
    let page = format!(
        "{base}/{}/{}",
        segment(id.owner.as_str()),
        segment(id.name.as_str())
    );
    let updated = runs
        .first()
        .and_then(|run| run.finished_at)
        .map_or(created, rfc3339);
    html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"))
        feed xmlns="http://www.w3.org/2005/Atom" {
            id { (page) "/runs.atom" }
            title { "Runs of " (id) }
            updated { (updated) }
            author { name { (id.owner) } }
            link rel="self" type="application/atom+xml" href={ (page) "/runs.atom" } {}
            link rel="alternate" type="text/html" href=(page) {}
            @for run in runs { (entry(base, run)) }
        }
    }
}

fn entry(base: &str, run: &Run) -> Markup {
    let Some(ending) = &run.ending else {
        return html! {};
    };
    let word = ending.outcome.word().replace('_', " ");
    let rows = |of: fn(&registry::RowChanges) -> u64| count(ending.changes.values().map(of).sum());
    let place = format!("{base}/runs/{}", run.id);
    html! {
        entry {
            id { (place) }
            title { "Run " (run.id) " " (word) }
            updated { (rfc3339(run.finished_at.unwrap_or(run.queued_at))) }
            link rel="alternate" type="text/html" href=(place) {}
            summary {
                (printable(&ending.message)) " Rows added: " (rows(|rows| rows.added)) ", changed: " (rows(|rows| rows.changed))
                ", removed: " (rows(|rows| rows.removed)) "."
            }
        }
    }
}

/// Without what XML cannot hold at all (XML 1.0, 2.2), escaped or not.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' | '\n' | '\r' => ' ',
            '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
            character if character.is_control() => '\u{fffd}',
            character => character,
        })
        .collect()
}
