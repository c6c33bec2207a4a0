//! `/scrapers/{owner}/{name}`: how a scraper fares.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use maud::{Markup, html};
use model::ScraperId;
use registry::{Domain, Origin, Run, RunFilter, Scope, Scraper, Version};

use super::{address, data, history, hosts, log, run_address, words};
use crate::api::scrapers::Of;
use crate::clock;
use crate::display::{bytes, count, counted, time};
use crate::pages::layout::{self, Area, Frame, table};
use crate::pages::problem::sentence;
use crate::params::{Form, Params};
use crate::problem::Problem;
use crate::state::App;
use crate::visitor::Visitor;

/// Lines of the last log.
const LINES: usize = 12;

/// Everything that the page shows.
struct Shown {
    scraper: Scraper,
    runs: Vec<Run>,
    lines: Vec<runlog::Line>,
    data: data::Look,
    domains: Vec<Domain>,
    versions: Vec<Version>,
    /// Whether all runs that are known are listed.
    lists_all: bool,
    may: May,
}

/// What the visitor may do.
struct May {
    read: bool,
    run: bool,
    manage: bool,
}

impl May {
    async fn of(app: &App, visitor: &Visitor, scraper: &Scraper) -> Result<Self, Problem> {
        let owner = &scraper.id.owner;
        Ok(Self {
            read: scraper.settings.public || visitor.may(app, Scope::Data, owner).await?,
            run: visitor.may(app, Scope::Run, owner).await?,
            manage: visitor.may(app, Scope::Manage, owner).await?,
        })
    }
}

pub(super) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    visitor: Visitor,
    Of(id): Of,
    params: Params,
) -> Result<Markup, Problem> {
    let registry = app.runner.registry();
    let scraper = registry.scraper(&id).await?;
    let id = scraper.id.clone();
    let filter = RunFilter {
        scraper: Some(id.clone()),
        limit: history::PLOTTED,
        ..RunFilter::default()
    };
    let runs = registry.runs(filter).await?;
    let lines = match runs.first() {
        Some(newest) => log::tail(&app, newest.id, LINES).await?,
        None => Vec::new(),
    };
    let may = May::of(&app, &visitor, &scraper).await?;
    let shown = Shown {
        lines,
        runs,
        data: match may.read {
            true => data::look(&app, &visitor, &id, params.text("table")).await,
            false => data::Look::Withheld,
        },
        domains: registry.domains(&id).await?,
        versions: registry.versions(&id).await?,
        lists_all: params.text("runs") == "all",
        may,
        scraper,
    };
    let content = content(&shown);
    let title = id.to_string();
    Ok(match shown.scraper.unfinished {
        Some(_) => layout::log_page(&frame, Area::Scrapers, &title, &content),
        None => layout::work_page(&frame, Area::Scrapers, &title, &content),
    })
}

fn content(shown: &Shown) -> Markup {
    let scraper = &shown.scraper;
    html! {
        p.above { a href="/scrapers" { "Scrapers" } }
        h1 { (scraper.id) }
        p.lead {
            @if scraper.settings.description.is_empty() { (origin(&scraper.origin)) } @else { (scraper.settings.description) }
            @if let Some(language) = &scraper.language { " \u{b7} " (language) }
        }
        (scrapes(&shown.domains))
        @if let Some(why) = &scraper.paused { (paused(&scraper.id, why, shown.may.manage)) }
        (actions(shown))
        (schedule(scraper))
        (last_log(shown))
        (data::section(&scraper.id, &shown.data))
        (history::section(&scraper.id, &shown.runs, shown.lists_all))
        @if !shown.domains.is_empty() { h2 #domains { "Talks to" } (hosts::table(&shown.domains)) }
        @if shown.may.manage { (versions(shown)) (removal(&scraper.id)) }
    }
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Folder { path } => path.clone(),
        Origin::Git { url, reference: None } => url.clone(),
        Origin::Git {
            url,
            reference: Some(reference),
        } => format!("{url} at {reference}"),
        Origin::Upload { .. } => "code that was sent".to_owned(),
    }
}

/// The sites, in one line.
fn scrapes(domains: &[Domain]) -> Markup {
    html! {
        @if !domains.is_empty() {
            p {
                "Scrapes "
                @for (at, domain) in domains.iter().take(5).enumerate() { @if at > 0 { ", " } strong { (domain.host) } }
                @if domains.len() > 5 { " and " a href="#domains" { (count(domains.len() as u64 - 5)) " more" } }
                "."
            }
        }
    }
}

fn paused(id: &ScraperId, why: &str, may: bool) -> Markup {
    html! {
        div.notice {
            p { strong { (sentence(why)) } }
            @if may { form.actions method="post" action={ (address(id)) "/pause" } { button.plain name="pause" value="no" { "Let it go on" } } }
        }
    }
}

fn actions(shown: &Shown) -> Markup {
    let place = address(&shown.scraper.id);
    html! {
        div.actions {
            @match shown.scraper.unfinished {
                Some(run) => a.button href=(run_address(run)) { "Watch the run" },
                None => @if shown.may.run { form method="post" action={ (place) "/run" } { button { "Run now" } } },
            }
            @if shown.may.manage {
                a.button.plain href={ (place) "/settings" } { "Settings" }
                a.button.plain href={ (place) "/secrets" } { "Secrets" }
                a.button.plain href={ (place) "/webhooks" } { "Webhooks" }
            }
        }
    }
}

fn schedule(scraper: &Scraper) -> Markup {
    html! {
        p.soft {
            @match (&scraper.settings.schedule, scraper.due_at) {
                (Some(schedule), Some(due)) => { "Runs " (schedule) ", next " (time(due)) "." },
                (Some(schedule), None) => { "Runs " (schedule) @if scraper.paused.is_some() { ", but not while it is paused" } "." },
                (None, _) => "Runs when somebody says so.",
            }
            @if let Some(after) = &scraper.settings.after { " Runs after " a href=(address(after)) { (after) } "." }
            @if scraper.failures > 0 { " " strong { (counted(u64::from(scraper.failures), "run")) " failed" } " since the last that succeeded." }
        }
    }
}

fn last_log(shown: &Shown) -> Markup {
    html! {
        h2 { "Last run" }
        @match shown.runs.first() {
            None => p.soft { "It never ran." },
            Some(newest) => {
                p {
                    a href=(run_address(newest.id)) { span data-run-state { (words::state(newest)) } }
                    " " (time(newest.started_at.unwrap_or(newest.queued_at)))
                    @if let Some(ending) = &newest.ending { br; (sentence(&ending.message)) }
                }
                (log::shown(newest, &shown.lines))
            }
        }
    }
}

fn versions(shown: &Shown) -> Markup {
    let place = address(&shown.scraper.id);
    let head =
        html! { th { "Version" } th { "Since" } th.number { "Size" } th { span.unseen { "What to do" } } };
    let rows = html! { @for (at, version) in shown.versions.iter().enumerate() { (kept(&place, version, at == 0)) } };
    html! {
        @if shown.versions.len() > 1 {
            details {
                summary { (counted(shown.versions.len() as u64, "version")) " of the data" }
                (table("Versions", &head, &rows))
            }
        }
    }
}

fn kept(place: &str, version: &Version, is_in_force: bool) -> Markup {
    html! {
        tr {
            td { (version.number) @if let Some(run) = version.run { " " a.small href=(run_address(run)) { "run " (run) } } }
            td { (time(version.at)) }
            td.number { (bytes(version.bytes)) }
            td {
                @if !is_in_force {
                    div.actions {
                        a.button.plain href={ (place) "/changes?from=" (version.number) } { "Compare" span.unseen { " version " (version.number) " with the newest" } }
                        form method="post" action={ (place) "/versions" } { button.plain name="version" value=(version.number) { "Put in force" span.unseen { " version " (version.number) } } }
                    }
                }
            }
        }
    }
}

fn removal(id: &ScraperId) -> Markup {
    html! {
        details {
            summary { "Delete this scraper" }
            p { "Its runs, logs, data, secrets and webhooks go. This cannot be undone." }
            form method="post" action={ (address(id)) "/delete" } {
                label.choice { input type="checkbox" name="sure" value="yes" required; "Delete " (id) " and everything that is kept of it" }
                div.actions { button.danger { "Delete" } }
            }
        }
    }
}

/// Lets the schedule stand still or go on.
pub(super) async fn pause(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let why = (fields.text("pause") != "no").then(|| "paused by hand".to_owned());
    app.runner
        .registry()
        .pause_scraper(&id, why, clock::now())
        .await?;
    Ok(Redirect::to(&address(&id)))
}

/// Puts an older version of the data in force.
pub(super) async fn restore(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    let version = fields.number("version", 0, 1..=usize::MAX)?;
    app.runner.restore(&id, version as u64).await?;
    Ok(Redirect::to(&format!("{}#data", address(&id))))
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Of(id): Of,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    visitor.must(&app, Scope::Manage, &id.owner).await?;
    if fields.text("sure").is_empty() {
        return Err(Problem::bad_request("tick the box that says that you mean it"));
    }
    app.runner.remove_scraper(&id).await?;
    Ok(Redirect::to("/scrapers"))
}
