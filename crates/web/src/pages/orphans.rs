use std::sync::Arc;

use axum::extract::State;
use crawldb::{Crawl, CrawlStatus, OrphanReport};
use maud::{Markup, html};

use crate::api::found::Found;
use crate::api::orphans::{STATES, blocked};
use crate::display::{count, counted, time};
use crate::pages::decisions::{self, OF_MISSED};
use crate::pages::form::signature;
use crate::pages::layout::{self, Area, Frame};
use crate::pages::problem::sentence;
use crate::pages::{crawls, sources};
use crate::params::{Params, link};
use crate::problem::Problem;
use crate::state::App;

const PLACE: &str = "/orphans";

/// `/orphans`: what complete crawls no longer see, over all sources.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    frame: Frame,
    params: Params,
) -> Result<Markup, Problem> {
    let found = Found::of(&app, &STATES, &params).await?;
    let source = params.text("source");
    let content = html! {
        h1 { "Orphans" }
        p.lead { "Items that a complete crawl no longer saw. They are deleted when their grace is over, unless a guard stops it or their source leaves it to you." }
        (waiting_crawls(&blocked(&app).await?))
        h2 { "Candidates" }
        (decisions::filter(PLACE, source, &app.source_names().await?, &[], ""))
        @if found.items.is_empty() {
            p { "No item is missed." }
            p.soft { "After each full crawl, what it did not see is listed here. The settings of a " a href="/sources" { "source" } " say how long it stays." }
        } @else {
            (decisions::list(&found, &OF_MISSED, &link(PLACE, &[("source", source)])))
        }
        (decisions::pager(PLACE, &found, &params))
    };
    Ok(layout::work_page(&frame, Area::Orphans, "Orphans", &content))
}

fn waiting_crawls(blocked: &[Crawl]) -> Markup {
    html! {
        @if !blocked.is_empty() {
            h2 { "Blocked crawls" }
            p { "A guard stopped these deletions. Look whether the source is whole, then approve them, or crawl it again." }
            (layout::table("Blocked crawls", &html! { th { "Crawl" } th { "Why" } th.number { "Would be deleted" } }, &html! { @for crawl in blocked { (blocked_row(crawl)) } }))
        }
    }
}

fn blocked_row(crawl: &Crawl) -> Markup {
    let source = crawl.id.source();
    html! {
        tr {
            td {
                a href={ (crawls::address(&crawl.id)) "#orphans" } { (time(crawl.started_at)) }
                span.small { a href=(sources::address(&source)) { (source) } }
            }
            td.long { (sentence(crawl.orphans.blocked.as_deref().or(crawl.reason.as_deref()).unwrap_or("a guard stopped it"))) }
            td.number { (count(crawl.orphans.candidates)) }
        }
    }
}

/// What became of the items that one crawl missed, and the approval that it may wait for.
pub(crate) fn report(crawl: &Crawl) -> Markup {
    let report = &crawl.orphans;
    html! {
        @if *report != OrphanReport::default() {
            h2 #orphans { "Orphans" }
            @if let Some(why) = &report.withheld { div.notice { p { "Nothing was deleted: " (why) } } }
            @if let Some(why) = &report.blocked { div.notice.bad { p { strong { "Blocked: " } (why) } } }
            (figures(report))
            @if let Some(at) = report.again_at { p.soft { "Looked at again " (time(at)) "." } }
            @if let Some(approval) = &report.approval {
                p { "Approved by " (approval.by) ", " (time(approval.at)) ": " (approval.reason) @if crawl.status == CrawlStatus::Blocked { ". The deletions begin within seconds." } }
            } @else if report.blocked.is_some() && crawl.status.is_over() {
                (approve(crawl))
            }
        }
    }
}

fn figures(report: &OrphanReport) -> Markup {
    let figures = [
        ("missed", report.candidates),
        ("deleted", report.deleted),
        ("found present", report.present),
        ("protected by errors", report.protected),
        ("within their grace", report.waiting),
        ("not yet known", report.deferred),
    ];
    html! {
        dl.figures.six { @for (label, items) in figures { div { dt { (label) } dd { (count(items)) } } } }
        @if let Some(at) = report.swept_at { p.soft { "Judged " (time(at)) "." } }
    }
}

fn approve(crawl: &Crawl) -> Markup {
    html! {
        p { (counted(crawl.orphans.candidates, "item")) " may be deleted when you approve it. A newer crawl judges anew." }
        form method="post" action={ (crawls::address(&crawl.id)) "/approve" } {
            (signature())
            div.actions { button.danger { "Approve the deletions" } }
        }
    }
}
