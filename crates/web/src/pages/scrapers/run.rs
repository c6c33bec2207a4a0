//! `/runs/{run}`: what a run does and did, and its log.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use model::RunId;
use registry::{Asked, Ending, Phase, Run, Scope};
use runner::Leftover;

use super::{address, hosts, log, run_address, words};
use crate::api::scrapers::{Of, asked_by, readable};
use crate::display::{bytes, count, duration, time};
use crate::pages::layout::{self, Area, Frame, table};
use crate::pages::problem::sentence;
use crate::params::Named;
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Lines of log on the page of a run that is over.
const LINES: usize = 2_000;

/// Asks for a run and shows it.
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
) -> Result<Redirect, Problem> {
    visitor.must(&app, Scope::Run, &id.owner).await?;
    let (Asked::Queued(run) | Asked::Already(run)) = app.runner.ask(&id, asked_by(&visitor)?).await?;
    Ok(Redirect::to(&run_address(run)))
}

pub(super) async fn stop(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(run): Named<RunId>,
) -> Result<Redirect, Problem> {
    let known = app.runner.registry().run(run).await?;
    visitor.must(&app, Scope::Run, &known.scraper.owner).await?;
    app.runner.stop_run(run, visitor.owner()?.as_str()).await?;
    Ok(Redirect::to(&run_address(run)))
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Named(id): Named<RunId>,
) -> Result<Markup, Problem> {
    let run = readable(&app, &visitor, id).await?;
    let may_stop = visitor.may(&app, Scope::Run, &run.scraper.owner).await?;
    let lines = log::tail(&app, id, LINES).await?;
    let is_over = run.phase == Phase::Finished;
    let may_manage = is_over && visitor.may(&app, Scope::Manage, &run.scraper.owner).await?;
    let leftovers = match may_manage {
        true => app.runner.leftovers(&run).await?,
        false => Vec::new(),
    };
    let content = html! {
        p.above { a href="/scrapers" { "Scrapers" } " / " a href=(address(&run.scraper)) { (run.scraper) } }
        h1 { "Run " (run.id) }
        p.lead { span data-run-state { (words::state(&run)) } " \u{b7} " (words::cause(&run.cause)) " \u{b7} " (time(run.started_at.unwrap_or(run.queued_at))) }
        @if let Some(ending) = &run.ending { (verdict(ending)) }
        @if !is_over && may_stop {
            div.actions { form method="post" action={ (run_address(id)) "/stop" } { button.danger { "Stop" span.unseen { " the run" } } } }
        }
        @if let Some(by) = run.stop.as_ref().filter(|_| !is_over) { p.soft { (by) " wants it stopped." } }
        @if let Some(ending) = &run.ending { (figures(&run, ending)) (changes(ending)) (talked_to(ending)) }
        (kept(id, &leftovers))
        h2 #log { "Log" }
        (log::shown(&run, &lines))
    };
    let title = format!("Run {id} of {}", run.scraper);
    Ok(match is_over {
        true => layout::work_page(&frame, Area::Scrapers, &title, &content),
        false => layout::log_page(&frame, Area::Scrapers, &title, &content),
    })
}

/// What became of it, in a sentence.
fn verdict(ending: &Ending) -> Markup {
    let said = sentence(&ending.message);
    html! {
        @if ending.outcome.is_failure() { div.notice.bad { p { (said) } } } @else { p { (said) } }
    }
}

fn figures(run: &Run, ending: &Ending) -> Markup {
    let waited = run
        .leased_at
        .map(|leased| leased.as_millis().saturating_sub(run.queued_at.as_millis()));
    html! {
        dl.figures {
            div { dt { "ran" } dd { (duration(Duration::from_millis(ending.usage.wall_ms))) } }
            div { dt { "waited before" } dd { @if let Some(waited) = waited { (duration(Duration::from_millis(waited))) } @else { "\u{2013}" } } }
            div { dt { "most memory" } dd { (bytes(ending.usage.peak_memory_bytes)) } }
            div { dt { "processor time" } dd { (duration(Duration::from_millis(ending.usage.cpu_ms))) } }
        }
        @if let Some(revision) = &ending.revision { p.soft.small { "Commit " code { (revision) } } }
    }
}

fn changes(ending: &Ending) -> Markup {
    let head = html! { th { "Table" } th.number { "Added" } th.number { "Changed" } th.number { "Removed" } th.number { "Unchanged" } };
    let rows = html! {
        @for (table, rows) in &ending.changes {
            tr { th scope="row" { (table) } td.number { (count(rows.added)) } td.number { (count(rows.changed)) } td.number { (count(rows.removed)) } td.number { (count(rows.unchanged)) } }
        }
    };
    html! {
        @if !ending.changes.is_empty() {
            h2 { "Rows" }
            (table("Rows by table", &head, &rows))
        }
    }
}

/// What its owner may have beside log and data.
fn kept(run: RunId, leftovers: &[Leftover]) -> Markup {
    let named = |leftover: &Leftover| match leftover {
        Leftover::Cassette => ("cassette", "What it said and heard"),
        Leftover::Rejected => ("rejected", "The data that was put aside"),
    };
    html! {
        @if !leftovers.is_empty() {
            div.actions {
                @for (name, text) in leftovers.iter().map(named) {
                    a.button.plain href={ "/api/v1/runs/" (run) "/" (name) } download { (text) }
                }
            }
        }
    }
}

fn talked_to(ending: &Ending) -> Markup {
    html! {
        @if !ending.domains.is_empty() {
            h2 { "Talked to" }
            (hosts::table(&ending.domains))
        }
    }
}
