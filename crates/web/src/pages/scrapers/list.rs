//! `/scrapers`

use std::sync::Arc;

use axum::extract::State;
use maud::{Markup, html};
use registry::{Run, RunFilter, Scraper, ScraperFilter};

use super::{address, run_address, words};
use crate::display::{count, time};
use crate::pages::layout::{self, Area, Frame};
use crate::params::{Params, link};
use crate::problem::Problem;
use crate::state::App;

/// Scrapers on one page.
const SHOWN: usize = 100;

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    params: Params,
) -> Result<Markup, Problem> {
    let text = params.text("q").to_owned();
    let filter = ScraperFilter {
        owner: params.parsed("owner")?,
        text: (!text.is_empty()).then(|| text.clone()),
        after: params.parsed("after")?,
        limit: SHOWN + 1,
    };
    let registry = app.runner.registry();
    let mut scrapers = registry.scrapers(filter).await?;
    let more = scrapers.len() > SHOWN;
    scrapers.truncate(SHOWN);
    let mut rows = Vec::with_capacity(scrapers.len());
    for scraper in &scrapers {
        let run = match scraper.last_run {
            Some(run) => registry.run(run).await.ok(),
            None => None,
        };
        rows.push((scraper, run));
    }
    let unfinished = registry
        .runs(RunFilter {
            unfinished: Some(true),
            ..RunFilter::default()
        })
        .await?;
    let content = html! {
        h1 { "Scrapers" }
        div.actions { a.button href="/scrapers/new" { "Add a scraper" } }
        (search(&text))
        (going_on(&unfinished))
        @if rows.is_empty() {
            p.soft { @if text.is_empty() { "None yet. Add one, or run one from a folder with " code { "haul run ./scraper" } "." } @else { "None has this in its name or description." } }
        } @else {
            (table(&rows))
            @if let (true, Some(last)) = (more, scrapers.last()) {
                p.pager { a href=(link("/scrapers", &[("q", &text), ("after", &last.id.to_string())])) { "More" } }
            }
        }
    };
    Ok(layout::work_page(&frame, Area::Scrapers, "Scrapers", &content))
}

fn search(text: &str) -> Markup {
    html! {
        form.search role="search" action="/scrapers" {
            label for="q" { "Find scrapers" }
            input #q type="search" name="q" value=(text) placeholder="Name or description" maxlength="200";
            button.plain { "Find" }
        }
    }
}

/// What runs and what waits.
fn going_on(runs: &[Run]) -> Markup {
    let (waiting, running): (Vec<_>, Vec<_>) = runs.iter().partition(|run| run.leased_at.is_none());
    html! {
        @if !runs.is_empty() {
            h2 { "Now" }
            ul.plain {
                @for run in running.iter().chain(&waiting).take(20) {
                    li { a href=(run_address(run.id)) { (run.scraper) } " \u{b7} " (words::state(run)) " \u{b7} " span.soft { (words::cause(&run.cause)) } }
                }
                @if runs.len() > 20 { li.soft { "and " (count(runs.len() as u64 - 20)) " more" } }
            }
        }
    }
}

fn table(rows: &[(&Scraper, Option<Run>)]) -> Markup {
    let head = html! { th { "Scraper" } th { "Last run" } th.wide { "Rows" } th.wide { "Next" } };
    let rows = html! { @for (scraper, run) in rows { (row(scraper, run.as_ref())) } };
    html! {
        h2 { "All" }
        (layout::table("Scrapers", &head, &rows))
    }
}

fn row(scraper: &Scraper, run: Option<&Run>) -> Markup {
    html! {
        tr {
            th.long scope="row" {
                a href=(address(&scraper.id)) { (scraper.id) }
                @if !scraper.settings.description.is_empty() { span.small.soft { (scraper.settings.description) } }
            }
            td {
                @match run {
                    Some(run) => { a href=(run_address(run.id)) { (words::state(run)) } span.small.soft { (time(run.finished_at.unwrap_or(run.queued_at))) } },
                    None => span.soft { "never" },
                }
            }
            td.wide { @if let Some(run) = run { (words::rows(run)) } }
            td.wide {
                @match (&scraper.paused, scraper.due_at) {
                    (Some(_), _) => span.soft { "paused" },
                    (None, Some(due)) => (time(due)),
                    (None, None) => span.soft { "by hand" },
                }
            }
        }
    }
}
