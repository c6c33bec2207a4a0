use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Redirect;
use crawldb::{Crawl, ItemState, RetryPolicy, SiteSettings, Source};
use maud::{Markup, html};
use model::{PageUrl, SourceId};

use crate::api::crawls::newest;
use crate::api::sources::{described, existing, states};
use crate::api::wire::state_name;
use crate::display::{bytes, count, counted, duration, time};
use crate::pages::layout::{self, Area};
use crate::pages::{chart, crawls};
use crate::params::{Form, Named, link, segment};
use crate::problem::Problem;
use crate::state::App;

/// Crawls that the page of a source shows.
const LAST_CRAWLS: usize = 10;

/// `/sources`
pub(crate) async fn list(State(app): State<Arc<App>>) -> Result<Markup, Problem> {
    let sources = app.crawldb.sources().await?;
    let content = html! {
        h1 { "Sources" }
        @if sources.is_empty() {
            p.lead { "A source is a site that Haul collects. There is none yet." }
        } @else {
            div.scroll role="region" aria-label="Sources" tabindex="0" {
                table {
                    thead { tr { th { "Source" } th.wide { "Starts at" } th { "Last crawl" } th { "Now" } } }
                    tbody { @for source in &sources { (row(source)) } }
                }
            }
        }
        div.actions { a.button href="/sources/new" { "Add a site" } }
    };
    Ok(layout::page(Area::Sources, "Sources", &content))
}

fn row(source: &Source) -> Markup {
    html! {
        tr {
            td { a href=(address(&source.id)) { (source.name) } }
            td.wide.long { (starts(&source.site)) }
            td { @if let Some(at) = source.last_crawl_start { (time(at)) } @else { span.soft { "never" } } }
            td {
                @if let Some(crawl) = &source.active_crawl { a href=(crawls::address(crawl)) { "crawling" } }
                @else { span.soft { "idle" } }
            }
        }
    }
}

fn starts(site: &SiteSettings) -> String {
    site.start
        .iter()
        .map(PageUrl::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where the page of a source is.
pub(crate) fn address(id: &SourceId) -> String {
    format!("/sources/{}", segment(id.as_str()))
}

/// `/sources/new`
pub(crate) async fn new() -> Markup {
    let content = html! {
        h1 { "Add a site" }
        form method="post" action="/sources" {
            div.field {
                label for="url" { "Address" }
                input #url type="url" name="url" required placeholder="https://example.gov/" aria-describedby="url-help" autocomplete="url";
                p #url-help .soft { "Where the crawl begins. It stays on this host and obeys robots.txt." }
            }
            div.field {
                label for="name" { "Name (optional)" }
                input #name type="text" name="name" maxlength="200" aria-describedby="name-help";
                p #name-help .soft { "What people call it; the host where you leave it empty." }
            }
            div.actions { button { "Add" } a href="/sources" { "Back" } }
        }
    };
    layout::page(Area::Sources, "Add a site", &content)
}

/// Adds what the form describes.
pub(crate) async fn add(State(app): State<Arc<App>>, Form(fields): Form) -> Result<Redirect, Problem> {
    let name = fields.text("name");
    let name = (!name.is_empty()).then(|| name.to_owned());
    let site = SiteSettings {
        start: vec![PageUrl::parse(fields.text("url"))?],
        ..SiteSettings::default()
    };
    let source = app
        .crawldb
        .add_source(described(None, name, site, RetryPolicy::default())?)
        .await?;
    Ok(Redirect::to(&address(&source.id)))
}

/// Starts a crawl and shows it.
pub(crate) async fn crawl(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<Redirect, Problem> {
    let crawl = app.crawler.start(&id).await?;
    Ok(Redirect::to(&crawls::address(&crawl)))
}

/// Deletes the source.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Named(id): Named<SourceId>,
) -> Result<Redirect, Problem> {
    app.crawldb.delete_source(&id).await?;
    Ok(Redirect::to("/sources"))
}

/// `/sources/{source}`
pub(crate) async fn page(State(app): State<Arc<App>>, Named(id): Named<SourceId>) -> Result<Markup, Problem> {
    let source = existing(&app, &id).await?;
    let states = states(&app, &id).await?;
    let crawls = newest(&app, Some(&id), LAST_CRAWLS).await?;
    let content = html! {
        p.above { a href="/sources" { "Sources" } }
        h1 { (source.name) }
        (actions(&source))
        (items(&source, &states))
        (last_crawls(&crawls))
        (settings(&source))
        details {
            summary { "Delete this source" }
            p { "Its crawls and the records of its items go. Packs that were published stay." }
            form method="post" action={ (address(&id)) "/delete" } { button.danger { "Delete " (source.name) } }
        }
    };
    Ok(layout::page(Area::Sources, &source.name, &content))
}

fn actions(source: &Source) -> Markup {
    html! {
        div.actions {
            @if let Some(crawl) = &source.active_crawl {
                a.button href=(crawls::address(crawl)) { "Watch the crawl" }
            } @else {
                form method="post" action={ (address(&source.id)) "/crawl" } { button { "Start a crawl" } }
            }
        }
    }
}

fn items(source: &Source, states: &[(ItemState, u64)]) -> Markup {
    let all: u64 = states.iter().map(|(_, items)| items).sum();
    let place = format!("{}/items", address(&source.id));
    html! {
        h2 { "Items" }
        @if states.is_empty() {
            p.soft { "None yet: start a crawl." }
        } @else {
            p { a href=(place) { (counted(all, "item")) } }
            (chart::states(states, |state| link(&place, &[("state", state_name(state))])))
        }
    }
}

fn last_crawls(crawls: &[Crawl]) -> Markup {
    html! {
        h2 { "Last crawls" }
        @if crawls.is_empty() { p.soft { "None yet." } } @else { (crawls::table(crawls)) }
    }
}

fn settings(source: &Source) -> Markup {
    let site = &source.site;
    let millis = |millis| duration(Duration::from_millis(millis));
    let apart = |delay_ms| {
        if delay_ms == 0 {
            "no wait between them".to_owned()
        } else {
            format!("{} between them", millis(delay_ms))
        }
    };
    let words = |list: &[String], none: &str| {
        if list.is_empty() {
            none.to_owned()
        } else {
            list.join(", ")
        }
    };
    let yes = |set: bool| if set { "yes" } else { "no" };
    html! {
        h2 { "Settings" }
        dl {
            dt { "Id" } dd { (source.id) }
            @if let Some(bucket) = &source.bucket { dt { "Bucket" } dd { (bucket) } }
            dt { "Starts at" } dd { (starts(site)) }
            dt { "Further hosts" } dd { (words(&site.hosts, "none")) }
            dt { "Only below" } dd { (words(&site.include, "everything")) }
            dt { "Not below" } dd { (words(&site.exclude, "nothing")) }
            dt { "At most" }
            dd { (counted(site.max_pages, "page")) ", " (site.max_depth) " links deep, " (bytes(site.max_body_bytes)) " each" }
            dt { "Politeness" }
            dd { (counted(site.concurrency_per_host.into(), "request")) " to a host at a time, " (apart(site.delay_ms)) }
            dt { "Time for a request" } dd { (millis(site.request_timeout_ms)) }
            dt { "Retries" }
            dd { (count(source.retry.max_retries.into())) ", after " (millis(source.retry.initial_ms)) " to " (millis(source.retry.max_ms)) }
            dt { "Obeys robots.txt" } dd { (yes(site.obey_robots)) }
            dt { "Reads sitemaps" } dd { (yes(site.sitemaps)) }
            dt { "Private addresses" } dd { @if site.allow_private_addresses { "allowed" } @else { "refused" } }
            dt { "Added" } dd { (time(source.created_at)) ", settings version " (source.configuration) }
        }
    }
}
