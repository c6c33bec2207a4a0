use std::sync::Arc;

use axum::extract::State;
use axum::response::Redirect;
use crawldb::{Crawl, CrawlKind, ItemState, Source, SourceKind};
use crawler::StartedCrawl;
use ledger::{Replay, ReplayFrom};
use maud::{Markup, html};
use model::{CrawlId, PageUrl, SourceId};
use schedule::Schedule;

use crate::api::crawls::newest;
use crate::api::live::{LiveTracking, tracking};
use crate::api::replays::begun;
use crate::api::sources::{existing, states};
use crate::api::wire::state_name;
use crate::clock;
use crate::display::{count, counted, time};
use crate::pages::layout::{self, Area, Frame};
use crate::pages::{chart, crawls, settings};
use crate::params::{Form, Named, link, segment};
use crate::problem::Problem;
use crate::replays::{Job, Outcome};
use crate::state::App;

/// Crawls that the page of a source shows.
const LAST_CRAWLS: usize = 10;
/// Crawls that its plot shows.
const PLOTTED_CRAWLS: usize = 60;

/// `/sources`
pub(crate) async fn list(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, Problem> {
    let sources = app.crawldb().sources().await?;
    let content = html! {
        h1 { "Sources" }
        @if sources.is_empty() {
            p.lead { "A source is a site, a bucket or a feed that Haul collects. There is none yet." }
        } @else {
            (layout::table("Sources", &html! { th { "Source" } th.wide { "Kind" } th.wide { "Where" } th { "Last crawl" } th { "Now" } }, &html! { @for source in &sources { (row(source)) } }))
        }
        div.actions { a.button href="/sources/new" { "Add a source" } }
    };
    Ok(layout::work_page(&frame, Area::Sources, "Sources", &content))
}

fn row(source: &Source) -> Markup {
    html! {
        tr {
            td { a href=(address(&source.id)) { (source.settings.name) } }
            td.wide { (kind_label(&source.settings.kind)) }
            td.wide.long { (place(source)) }
            td { @if let Some(at) = source.last_crawl_start { (time(at)) } @else { span.soft { "never" } } }
            td { (now(source)) }
        }
    }
}

fn now(source: &Source) -> Markup {
    html! {
        @if source.deleting_since.is_some() {
            span.soft { "being deleted" }
        } @else if let Some(crawl) = source.active_crawls.first() {
            a href=(crawls::address(crawl)) { "crawling" }
        } @else {
            span.soft { @if source.settings.kind == SourceKind::Feed { "listening" } @else { "idle" } }
        }
    }
}

fn kind_label(kind: &SourceKind) -> &'static str {
    match kind {
        SourceKind::Site => "site",
        SourceKind::Bucket { .. } => "bucket",
        SourceKind::Folder { .. } => "folder",
        SourceKind::Feed => "feed",
    }
}

/// Where its content comes from.
pub(crate) fn place(source: &Source) -> String {
    match &source.settings.kind {
        SourceKind::Bucket { address } => address.clone(),
        SourceKind::Folder { path } => path.display().to_string(),
        SourceKind::Site | SourceKind::Feed => {
            let start = source.settings.site.start.iter().map(PageUrl::as_str);
            start.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Where the page of a source is.
pub(crate) fn address(id: &SourceId) -> String {
    format!("/sources/{}", segment(id.as_str()))
}

/// Starts a crawl and shows it, or where it waits.
pub(crate) async fn crawl(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    let kind = match fields.text("kind") {
        "" | "full" => CrawlKind::Full,
        "incremental" => CrawlKind::Incremental,
        _ => return Err(Problem::bad_request("the kind of a crawl is full or incremental")),
    };
    match app.crawler.start(&id, kind).await? {
        StartedCrawl::Running(crawl) => Ok(Redirect::to(&crawls::address(&crawl))),
        StartedCrawl::Queued(_) => Ok(Redirect::to(&address(&id))),
    }
}

/// Begins a replay and shows it.
pub(crate) async fn replay(
    State(app): State<Arc<App>>,
    Named(source): Named<SourceId>,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    let crawl = fields.parsed::<CrawlId>("crawl")?;
    let from = match (fields.text("from"), crawl) {
        ("start", Some(crawl)) => ReplayFrom::Start(crawl),
        ("end", Some(crawl)) => ReplayFrom::End(crawl),
        _ => ReplayFrom::Beginning,
    };
    let place = format!("{}#replay", address(&source));
    let into = fields.parsed("into")?;
    begun(&app, Replay { source, from, into }).await?;
    Ok(Redirect::to(&place))
}

/// Begins the deletion of the source.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    if fields.text("sure").is_empty() {
        return Err(Problem::bad_request("tick the box that says that you mean it"));
    }
    app.crawldb().begin_deletion(&id, clock::now()).await?;
    Ok(Redirect::to(&address(&id)))
}

/// `/sources/{source}`
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    Named(id): Named<SourceId>,
) -> Result<Markup, Problem> {
    let source = existing(&app, &id).await?;
    let states = states(&app, &id).await?;
    let crawls = newest(&app, Some(&id), PLOTTED_CRAWLS).await?;
    let live = tracking(&app, &source).await?;
    let content = html! {
        p.above { a href="/sources" { "Sources" } }
        h1 { (source.settings.name) }
        p.lead { (kind_label(&source.settings.kind)) " \u{b7} " (place(&source)) }
        (actions(&source))
        (items(&source, &states))
        (history(&source, &crawls))
        (live_updates(&live))
        (settings::summary(&source))
        @if source.deleting_since.is_none() {
            (replays(&source, crawls.first(), app.replays.of(Some(&id)).as_ref()))
            (removal(&source))
        }
    };
    Ok(layout::work_page(
        &frame,
        Area::Sources,
        &source.settings.name,
        &content,
    ))
}

fn actions(source: &Source) -> Markup {
    let crawl = format!("{}/crawl", address(&source.id));
    html! {
        @if let Some(since) = source.deleting_since {
            div.notice.bad { p { strong { "Being deleted" } " since " (time(since)) ". Its references leave the documents, then it goes." } }
        } @else {
            div.actions {
                @for crawl in &source.active_crawls { a.button href=(crawls::address(crawl)) { "Watch the crawl" } }
                @if source.active_crawls.is_empty() && source.settings.kind != SourceKind::Feed {
                    form method="post" action=(crawl) { button name="kind" value="full" { "Start a crawl" } }
                    form method="post" action=(crawl) { button.plain name="kind" value="incremental" { "Crawl what has changed" } }
                }
            }
            @if !source.queued.is_empty() {
                p { (counted(source.queued.len() as u64, "crawl")) " waiting, the first since " (time(source.queued[0].asked_at)) "." }
            }
            (scheduled(source))
        }
    }
}

/// When it is crawled by itself next.
fn scheduled(source: &Source) -> Markup {
    let schedule = source
        .settings
        .schedule
        .as_deref()
        .and_then(|text| Schedule::parse(text).ok());
    let last = source.last_crawl_start.unwrap_or(source.created_at);
    let next = schedule
        .as_ref()
        .and_then(|schedule| schedule.next_after(source.id.as_str(), last));
    html! {
        @if let (Some(schedule), Some(next)) = (schedule, next) {
            p.soft { "Crawled by itself (" (schedule) "), next " @if next <= clock::now() { "now" } @else { (time(next)) } "." }
        }
    }
}

fn items(source: &Source, states: &[(ItemState, u64)]) -> Markup {
    let all: u64 = states.iter().map(|(_, items)| items).sum();
    let place = format!("{}/items", address(&source.id));
    html! {
        h2 { "Items" }
        @if states.is_empty() {
            p.soft { @if source.settings.kind == SourceKind::Feed { "None yet: send updates." } @else { "None yet: start a crawl." } }
        } @else {
            p { a href=(place) { (counted(all, "item")) } }
            (chart::states(states, |state| link(&place, &[("state", state_name(state))])))
        }
    }
}

fn history(source: &Source, crawls: &[Crawl]) -> Markup {
    html! {
        @if source.settings.kind != SourceKind::Feed || !crawls.is_empty() {
            h2 { "Last crawls" }
            @if crawls.is_empty() {
                p.soft { "None yet." }
            } @else {
                (chart::history(crawls))
                (crawls::table(&crawls[..crawls.len().min(LAST_CRAWLS)]))
            }
        }
    }
}

fn live_updates(live: &LiveTracking) -> Markup {
    let told: u64 = live.partitions.iter().map(|partition| partition.end).sum();
    html! {
        h2 #live { "Live updates" }
        @if !live.enabled {
            p.soft { "Not taken. The settings say so." }
        } @else if told == 0 {
            p.soft { "None was sent yet. Programs send them to " code { "POST /api/v1/sources/\u{2026}/updates" } "." }
        } @else {
            p {
                @if live.lag == 0 { "All applied." } @else { strong { (counted(live.lag, "update")) } " waiting" }
                @if let Some(since) = live.waiting_since { ", the oldest since " (time(since)) }
                " " span.soft { (counted(told, "update")) " in all, " (counted(live.members as u64, "listener")) "." }
            }
            details { summary { "By partition" } (partitions(live)) }
        }
    }
}

fn partitions(live: &LiveTracking) -> Markup {
    html! {
        (layout::table("Partitions", &html! { th.number { "Partition" } th.number { "End" } th.number { "Applied up to" } th.number { "Waiting" } }, &html! { @for partition in live.partitions.iter().filter(|partition| partition.end > 0) {
                        tr {
                            td.number { (partition.partition) }
                            td.number { (count(partition.end)) }
                            td.number { (count(partition.committed)) }
                            td.number { (count(partition.lag)) }
                        }
                    } }))
    }
}

fn replays(source: &Source, newest: Option<&Crawl>, job: Option<&Job>) -> Markup {
    let is_running = job.is_some_and(|job| job.outcome.is_none());
    html! {
        h2 #replay { "Replay" }
        p.soft { "Writes the index again from the log of what was applied. What the index has is skipped, so a replay may be repeated." }
        @if let Some(job) = job { (replayed(job)) }
        @if !is_running {
            details {
                summary { "Begin a replay" }
                form method="post" action={ (address(&source.id)) "/replay" } {
                    div.field {
                        label for="from" { "From" }
                        select #from name="from" {
                            option value="beginning" { "the beginning of the log" }
                            @if newest.is_some() {
                                option value="start" { "the start of the last crawl" }
                                option value="end" { "the end of the last crawl" }
                            }
                        }
                    }
                    @if let Some(crawl) = newest { input type="hidden" name="crawl" value=(crawl.id); }
                    (crate::pages::form::field("into", "Into index (optional)", "a-z, 0-9 and '-'. The one in force where you leave it empty; another one can be put in force later.").text("", 64))
                    div.actions { button.plain { "Begin the replay" } }
                }
            }
        }
    }
}

fn replayed(job: &Job) -> Markup {
    let done = &job.done;
    html! {
        p {
            @match &job.outcome {
                None => { strong { "Running" } " since " (time(job.started_at)) },
                Some(Outcome::Done) => { "Last one: done " @if let Some(at) = job.ended_at { (time(at)) } },
                Some(Outcome::Failed(why)) => { strong { "The last one failed: " } (why) },
            }
            @if let Some(index) = &job.into { ", into " code { (index) } }
            ". " (count(done.read)) " read, " (count(done.written)) " written, " (count(done.same)) " were there, "
            (count(done.stale)) " were older, " (count(done.swept)) " removed."
        }
    }
}

fn removal(source: &Source) -> Markup {
    html! {
        details {
            summary { "Delete this source" }
            p { "Its references leave the documents, then its crawls and the records of its items go. What other sources have, too, stays searchable. This cannot be undone." }
            form method="post" action={ (address(&source.id)) "/delete" } {
                label.choice { input type="checkbox" name="sure" value="yes" required; "Delete " (source.settings.name) " and everything that only it has" }
                div.actions { button.danger { "Delete" } }
            }
        }
    }
}
