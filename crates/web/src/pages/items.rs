use std::sync::Arc;

use axum::extract::State;
use crawldb::{Document, Item, ItemState, Reference};
use maud::{Markup, html};
use model::{CrawlId, ItemId, SourceId};

use crate::api::documents::find;
use crate::api::items::{Slice, existing};
use crate::api::wire::{STATES, disposition, is_waiting, state_name};
use crate::display::{counted, time};
use crate::pages::layout::{self, Area, Frame};
use crate::pages::{chart, crawls, decisions, sources};
use crate::params::{Named, Params, link};
use crate::problem::Problem;
use crate::state::App;

/// `/sources/{source}/items`
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    frame: Frame,
    Named(source): Named<SourceId>,
    params: Params,
) -> Result<Markup, Problem> {
    let slice = Slice::of(&app, &source, &params).await?;
    let content = html! {
        p.above { a href="/sources" { "Sources" } " \u{203a} " a href=(sources::address(&source)) { (source) } }
        h1 { "Items" }
        (filter(&source, &slice))
        @if slice.items.is_empty() {
            p.soft { "No item of this source is in this state." }
        } @else {
            (layout::table("Items", &html! { th { "Item" } th { "State" } th.wide { "Last updated" } }, &html! { @for item in &slice.items { (row(item)) } }))
        }
        (pager(&source, &slice, &params))
    };
    Ok(layout::work_page(&frame, Area::Sources, "Items", &content))
}

fn filter(source: &SourceId, slice: &Slice) -> Markup {
    html! {
        form.search method="get" action=(list_address(source)) role="search" aria-label="Items" {
            label for="state" { "State" }
            select.host #state name="state" {
                option value="" { "every state" }
                @for (state, name) in STATES {
                    option value=(name) selected[slice.state == Some(state)] { (chart::label(state)) }
                }
            }
            @if let Some(crawl) = &slice.crawl { input type="hidden" name="crawl" value=(crawl); }
            button.plain { "Show" }
        }
    }
}

fn pager(source: &SourceId, slice: &Slice, params: &Params) -> Markup {
    let place = list_address(source);
    let kept = |after: &str| {
        let state = slice.state.map_or("", state_name);
        let shown = [
            ("state", state),
            ("crawl", params.text("crawl")),
            ("limit", params.text("limit")),
        ];
        link(&place, &[shown.as_slice(), &[("after", after)]].concat())
    };
    html! {
        nav.pager aria-label="Further items" {
            @if !params.text("after").is_empty() { a href=(kept("")) { "First items" } }
            @if let Some(next) = &slice.next { a href=(kept(next.as_str())) rel="next" { "Next items" } }
        }
    }
}

fn list_address(source: &SourceId) -> String {
    format!("{}/items", sources::address(source))
}

/// Where the page of an item is.
pub(crate) fn address(source: &SourceId, id: &ItemId) -> String {
    link(
        &format!("{}/item", sources::address(source)),
        &[("id", id.as_str())],
    )
}

fn row(item: &Item) -> Markup {
    html! {
        tr {
            td.long {
                a href=(address(&item.source, &item.id)) { (item.id) }
                @if let Some(error) = &item.last_error { span.small.soft { (error.message) } }
            }
            td { (chart::state(item.state)) }
            td.wide { @if let Some(at) = item.last_updated { (time(at)) } @else { span.soft { "never" } } }
        }
    }
}

/// `/sources/{source}/item?id=`
pub(crate) async fn page(
    State(app): State<Arc<App>>,
    frame: Frame,
    Named(source): Named<SourceId>,
    params: Params,
) -> Result<Markup, Problem> {
    let item = existing(&app, &source, &params).await?;
    let index = app.crawldb().documents().index_in_force().await?;
    let document = find(&app, &index, &item.url).await?;
    let content = html! {
        p.above {
            a href="/sources" { "Sources" } " \u{203a} " a href=(sources::address(&source)) { (source) }
            " \u{203a} " a href=(list_address(&source)) { "Items" }
        }
        h1 { (item.id) }
        p { (chart::state(item.state)) " \u{b7} " a href=(item.url) rel="noreferrer" { "open the page" } }
        (trouble(&item))
        (decisions::single(&item, &address(&item.source, &item.id)))
        (content(&item))
        (document_of(&item, document.as_ref()))
        (history(&item))
        (relations(&item))
    };
    Ok(layout::work_page(
        &frame,
        Area::Sources,
        item.id.as_str(),
        &content,
    ))
}

fn trouble(item: &Item) -> Markup {
    html! {
        @if let Some(error) = &item.last_error {
            div.notice.bad[item.state == ItemState::Escalated] {
                p { strong { (error.message) } }
                p.soft {
                    (time(error.at)) " \u{b7} " (counted(item.retry_count.into(), "failed attempt")) " in this crawl, "
                    (item.consecutive_failures) " in a row"
                    @if is_waiting(item.state) { " \u{b7} due again " (time(item.next_attempt_at)) }
                }
            }
        }
    }
}

fn content(item: &Item) -> Markup {
    let what = item.disposition.as_ref().map(disposition);
    html! {
        h2 { "Content" }
        dl {
            dt { "In the search" }
            dd {
                @match &what {
                    Some(("indexed", _)) => "yes",
                    Some((why, Some(of))) => { "no: " (why) " " (of) },
                    Some((why, None)) => { "no: " (why) },
                    None => "not yet processed",
                }
            }
            dt { "SHA-256" } dd.mono { (or_none(item.checksum)) }
            dt { "Bytes in the archive" } dd.mono { (or_none(item.content.as_ref())) }
            dt { "Text in the archive" } dd.mono { (or_none(item.extract.as_ref())) }
            dt { "ETag" } dd.mono { (or_none(item.etag.as_ref())) }
            dt { "Last-Modified" } dd { (or_none(item.last_modified.as_ref())) }
        }
    }
}

/// What is searched under its URL, and which sources have a share in it.
fn document_of(item: &Item, document: Option<&Document>) -> Markup {
    html! {
        @if let Some(document) = document {
            h2 { "Document" }
            p.soft { @if document.is_alive() { "What is searched under this URL. The first reference that is there is shown." } @else { "No source has this URL any more." } }
            (layout::table("References", &html! { th { "Source" } th { "Item" } th.wide { "Updated" } th { "Share" } }, &html! { @for reference in &document.references {
                            tr {
                                td { a href=(sources::address(&reference.source)) { (reference.source) } }
                                td.long { @if reference.item == item.id && reference.source == item.source { "this one" } @else { a href=(address(&reference.source, &reference.item)) { (reference.item) } } }
                                td.wide { (time(reference.last_updated)) }
                                td { (share(document, reference)) }
                            }
                        } }))
        }
    }
}

fn share(document: &Document, reference: &Reference) -> &'static str {
    match &reference.body {
        None => "gone",
        Some(_) if document.primary() == Some(reference) => "shown",
        Some(_) => "there",
    }
}

fn history(item: &Item) -> Markup {
    html! {
        h2 { "History" }
        dl {
            dt { "First seen" } dd { (time(item.first_seen_at)) }
            dt { "Seen by the crawl of" } dd { (time(item.seen_crawl_at)) }
            dt { "Last updated" } dd { @if let Some(at) = item.last_updated { (time(at)) } @else { "never" } }
            dt { "Last crawl" }
            dd {
                @if item.crawl == CrawlId::live(&item.source) { "none: a live update" } @else { a href=(crawls::address(&item.crawl)) { (item.crawl) } }
                ", settings version " (item.configuration)
            }
            dt { "Version" } dd.mono { (item.version.as_u64()) ", write " (item.revision.0) }
            dt { "Attempts" } dd { (counted(item.retry_count.into(), "failed attempt")) " in the last crawl, " (item.consecutive_failures) " in a row, lease epoch " (item.epoch) }
            @if let Some(lease) = &item.lease {
                dt { "Worked on by" } dd { (lease.owner) " until " (time(lease.until)) ", epoch " (lease.epoch) }
            }
            @if let Some(orphan) = &item.orphan {
                dt { "Missed" } dd { "since " (time(orphan.since)) ", by " (counted(orphan.misses.into(), "crawl")) }
            }
            @if let Some(ruling) = &item.ruling {
                dt { "Last decision" } dd { (decisions::label(ruling.decision)) ", " (time(ruling.at)) ", by " (ruling.by) ": " (ruling.reason) }
            }
        }
    }
}

fn relations(item: &Item) -> Markup {
    html! {
        h2 { "Place" }
        dl {
            dt { "Scope" } dd { (item.scope) }
            dt { "Depth" } dd { (item.depth) }
            dt { "Found on" }
            dd { @if let Some(parent) = &item.parent { a href=(address(&item.source, parent)) { (parent) } } @else { "start" } }
            @for alias in &item.aliases {
                dt { "Also known as" } dd { a href=(address(&item.source, alias)) { (alias) } }
            }
        }
    }
}

fn or_none(value: Option<impl std::fmt::Display>) -> Markup {
    html! { @if let Some(value) = value { (value.to_string()) } @else { span.soft { "none" } } }
}
