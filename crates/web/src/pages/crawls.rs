use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use crawldb::{Crawl, CrawlKind, CrawlStatus, CrawlTotals, ScopeCount};
use maud::{Markup, html};
use model::CrawlId;

use crate::api::crawls::{approved, end, existing, newest};
use crate::api::wire::state_name;
use crate::clock;
use crate::display::{bytes, count, counted, duration, time};
use crate::pages::layout::{self, Area, Frame};
use crate::pages::{chart, orphans, sources};
use crate::params::{Form, Named, link, segment};
use crate::problem::Problem;
use crate::state::App;

/// Crawls that `/crawls` shows.
const LAST_CRAWLS: usize = 100;
/// Hosts that the page of a crawl shows, those with the most items.
const SHOWN_SCOPES: usize = 100;

/// Where the page of a crawl is.
pub(crate) fn address(id: &CrawlId) -> String {
    format!("/crawls/{}", segment(id.as_str()))
}

/// `/crawls`
pub(crate) async fn list(State(app): State<Arc<App>>, frame: Frame) -> Result<Markup, Problem> {
    let crawls = newest(&app, None, LAST_CRAWLS).await?;
    let content = html! {
        h1 { "Crawls" }
        @if crawls.is_empty() {
            p.lead { "A crawl is one pass over a source. Start one from the page of a " a href="/sources" { "source" } "." }
        } @else {
            (table(&crawls))
        }
    };
    Ok(layout::work_page(&frame, Area::Crawls, "Crawls", &content))
}

/// Crawls, one a row.
pub(crate) fn table(crawls: &[Crawl]) -> Markup {
    html! {
        (layout::table("Crawls", &html! { th { "Started" } th { "Status" } th.number { "Items" } th.number.wide { "New" }
                        th.number.wide { "Changed" } th.number.wide { "Escalated" } th.number.wide { "Took" } }, &html! { @for crawl in crawls { (row(crawl)) } }))
    }
}

fn row(crawl: &Crawl) -> Markup {
    let source = crawl.id.source();
    html! {
        tr {
            td {
                a href=(address(&crawl.id)) { (time(crawl.started_at)) }
                span.small { a href=(sources::address(&source)) { (source) } }
            }
            td {
                @if crawl.status == CrawlStatus::Blocked {
                    a href={ (address(&crawl.id)) "#orphans" } { (status_label(crawl.status)) }
                } @else {
                    (status_label(crawl.status))
                }
                @if crawl.kind == CrawlKind::Incremental { span.small.soft { "incremental" } }
            }
            td.number { (count(crawl.totals.seen)) }
            td.number.wide { (count(crawl.totals.new)) }
            td.number.wide { (count(crawl.totals.changed)) }
            td.number.wide { (count(crawl.totals.escalated)) }
            td.number.wide { @if let Some(end) = crawl.ended_at { (duration(end.since(crawl.started_at))) } }
        }
    }
}

fn status_label(status: CrawlStatus) -> &'static str {
    match status {
        CrawlStatus::Pending => "pending",
        CrawlStatus::Enumerating => "enumerating",
        CrawlStatus::Processing => "processing",
        CrawlStatus::Draining => "draining",
        CrawlStatus::Orphans => "looking for orphans",
        CrawlStatus::Completed => "completed",
        CrawlStatus::Failed => "failed",
        CrawlStatus::Cancelled => "cancelled",
        CrawlStatus::Blocked => "blocked",
    }
}

/// Stops the crawl and shows it.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
) -> Result<Redirect, Problem> {
    end(&app, &id).await?;
    Ok(Redirect::to(&address(&id)))
}

/// Approves what a guard blocked, and shows the crawl.
pub(crate) async fn approve(
    State(app): State<Arc<App>>,
    Named(id): Named<CrawlId>,
    Form(fields): Form,
) -> Result<Redirect, Problem> {
    approved(&app, &id, fields.text("by"), fields.text("reason")).await?;
    Ok(Redirect::to(&format!("{}#orphans", address(&id))))
}

/// `/crawls/{crawl}`: figures that move while it runs.
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    Named(id): Named<CrawlId>,
) -> Result<Markup, Problem> {
    let crawl = existing(&app, &id).await?;
    let scopes = app.crawldb().scopes(&id).await?;
    let source = id.source();
    let over = crawl.status.is_over();
    let events = format!("/api/v1/crawls/{}/events", segment(id.as_str()));
    let content = html! {
        p.above {
            a href="/crawls" { "Crawls" } " \u{203a} " a href=(sources::address(&source)) { (source) }
        }
        h1 { "Crawl of " (time(crawl.started_at)) }
        div data-events=[(!over).then_some(events)] {
            (progress(&crawl))
            (figures(&crawl))
            @if !over {
                (chart::rate_line())
                form method="post" action={ (address(&id)) "/cancel" } { button.plain { "Cancel the crawl" } }
            }
        }
        (by_outcome(&crawl))
        (orphans::report(&crawl))
        (enumeration(&crawl))
        (by_host(&crawl, &scopes))
        (record(&crawl))
    };
    let title = format!("Crawl of {source}");
    Ok(match over {
        true => layout::work_page(&frame, Area::Crawls, &title, &content),
        false => layout::live_page(&frame, Area::Crawls, &title, &content),
    })
}

fn progress(crawl: &Crawl) -> Markup {
    let CrawlTotals {
        seen, open, failed, ..
    } = crawl.totals;
    let done = seen.saturating_sub(open).saturating_sub(failed);
    html! {
        p {
            strong data-live="status" { (status_label(crawl.status)) }
            @if !crawl.status.is_over() { " " span.soft data-live="host" {} }
        }
        @if let Some(reason) = crawl.reason.as_ref().filter(|_| crawl.orphans.blocked.is_none()) { div.notice.bad { p { (reason) } } }
        progress value=(done) max=(seen.max(1)) aria-label="Items done" {}
        p.small.soft {
            span data-live="done" { (count(done)) } " of " span data-live="seen" { (count(seen)) } " items done"
            @if !crawl.status.is_over() { "; more may be found" }
        }
    }
}

fn figures(crawl: &Crawl) -> Markup {
    let totals = crawl.totals;
    let took = crawl.duration(clock::now());
    html! {
        dl.figures {
            div { dt { "new" } dd data-live="new" { (count(totals.new)) } }
            div { dt { "changed" } dd data-live="changed" { (count(totals.changed)) } }
            div { dt { "unchanged" } dd data-live="unchanged" { (count(totals.unchanged)) } }
            @if crawl.status.is_over() {
                div { dt { "deleted" } dd { (count(crawl.deleted())) } }
                div { dt { "escalated" } dd { (count(totals.escalated)) } }
                div { dt { "took" } dd { (duration(took)) } }
                div { dt { "fetched" } dd { (bytes(crawl.fetched_bytes)) } }
                div { dt { "each, on average" } dd { @if let Some(mean) = crawl.average_processing() { (duration(mean)) } @else { "\u{2013}" } } }
            } @else {
                div { dt { "queued" } dd data-live="open" { (count(totals.open)) } }
                div { dt { "will be retried" } dd data-live="failed" { (count(totals.failed)) } }
                div { dt { "escalated" } dd data-live="escalated" { (count(totals.escalated)) } }
                div { dt { "pages a second" } dd data-live="rate" { (rate(totals, took)) } }
                div { dt { "fetched" } dd data-live="bytes" { (bytes(crawl.fetched_bytes)) } }
            }
        }
    }
}

/// The mean since the start, for where no events tell the rate of the moment.
fn rate(totals: CrawlTotals, took: Duration) -> String {
    let done = totals.seen.saturating_sub(totals.open);
    format!("{:.1}", done as f64 / took.as_secs_f64().max(1.0))
}

fn by_outcome(crawl: &Crawl) -> Markup {
    let counts = chart::outcomes(crawl);
    let place = format!("{}/items", sources::address(&crawl.id.source()));
    html! {
        @if crawl.status.is_over() && !counts.is_empty() {
            h2 { "Items by outcome" }
            (chart::states(&counts, |state| {
                link(&place, &[("state", state_name(state)), ("crawl", crawl.id.as_str())])
            }))
        }
    }
}

/// Why it does not know all that the source holds.
fn enumeration(crawl: &Crawl) -> Markup {
    let enumeration = &crawl.enumeration;
    html! {
        @if let Some(why) = &enumeration.cut {
            div.notice { p { strong { "Not everything was looked at: " } (why) ". Nothing that it missed is taken for gone." } }
        } @else if !enumeration.incomplete.is_empty() {
            div.notice {
                p { strong { (counted(enumeration.incomplete.len() as u64, "scope")) } " could not be looked through to the end. Nothing that is missed there is taken for gone." }
            }
        }
    }
}

fn by_host(crawl: &Crawl, scopes: &[ScopeCount]) -> Markup {
    let incomplete = &crawl.enumeration.incomplete;
    let is_counted = |scope: &str| scopes.iter().any(|count| count.scope == scope);
    let mut largest: Vec<&ScopeCount> = scopes.iter().collect();
    // Those that need a look first.
    largest.sort_by_key(|scope| {
        (
            !incomplete.contains_key(&scope.scope),
            std::cmp::Reverse(scope.items),
        )
    });
    html! {
        @if !scopes.is_empty() || !incomplete.is_empty() {
            h2 { "By scope" }
            (layout::table("By scope", &html! { th { "Host or prefix" } th.number { "Items" } th.number { "Open" } }, &html! { @for (scope, why) in incomplete.iter().filter(|(scope, _)| !is_counted(scope)).take(SHOWN_SCOPES) {
                            (scope_row(scope, Some(why), None))
                        }
                        @for scope in largest.iter().take(SHOWN_SCOPES) {
                            (scope_row(&scope.scope, incomplete.get(&scope.scope), Some(scope)))
                        } }))
            @if let Some(more @ 1..) = scopes.len().checked_sub(SHOWN_SCOPES) {
                p.soft { "And " (counted(more as u64, "smaller scope")) "." }
            }
        }
    }
}

fn scope_row(scope: &str, why: Option<&String>, items: Option<&ScopeCount>) -> Markup {
    html! {
        tr {
            td.long { (scope) @if let Some(why) = why { span.small.soft { "not complete: " (why) } } }
            td.number { @if let Some(count_of) = items { (count(count_of.items)) } }
            td.number { @if let Some(count_of) = items { (count(count_of.open)) } }
        }
    }
}

fn record(crawl: &Crawl) -> Markup {
    let now = clock::now();
    html! {
        h2 { "Record" }
        dl {
            dt { "Id" } dd.mono { (crawl.id) }
            dt { "Kind" } dd { @match crawl.kind { CrawlKind::Full => "full", CrawlKind::Incremental => "incremental: it never deletes" } }
            dt { "Started" } dd { (time(crawl.started_at)) }
            @if let Some(end) = crawl.enumeration.ended_at { dt { "Enumerated" } dd { (time(end)) } }
            @if let Some(end) = crawl.ended_at { dt { "Ended" } dd { (time(end)) } }
            dt { "Run by" } dd { (crawl.service) ", epoch " (crawl.epoch) }
            dt { "Settings version" } dd { (crawl.configuration) }
            dt { "Input" } dd { (counted(crawl.fetches, "answer")) ", " (bytes(crawl.fetched_bytes)) ", " (speed(crawl.input_speed(now))) }
            dt { "Output" } dd { (counted(crawl.indexed, "item")) " written to the index, " (speed(crawl.output_speed(now))) }
        }
    }
}

fn speed(per_second: f64) -> String {
    format!("{per_second:.1} a second")
}
