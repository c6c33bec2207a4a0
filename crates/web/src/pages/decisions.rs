//! Lists of items that people decide about.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use crawldb::{Decision, Item, ItemState};
use maud::{Markup, html};

use crate::api::escalations::{decide, ruling};
use crate::api::found::{Found, ItemName};
use crate::display::{counted, time};
use crate::pages::form::signature;
use crate::pages::layout::{self, Area, Frame};
use crate::pages::problem::sentence;
use crate::pages::{chart, items, sources};
use crate::params::{Form, Params, link};
use crate::problem::Problem;
use crate::state::App;

/// A decision, its name in forms, and what it is called on its button.
pub(crate) type Choice = (Decision, &'static str, &'static str);

/// What may be decided about escalated and ignored items.
pub(crate) const OF_ESCALATED: [Choice; 3] = [
    (Decision::Requeue, "requeue", "Try again"),
    (Decision::Ignore, "ignore", "Leave as it is"),
    (Decision::Delete, "delete", "Take for gone"),
];
/// What may be decided about candidates for deletion.
pub(crate) const OF_MISSED: [Choice; 2] = [
    (Decision::Keep, "keep", "Keep"),
    (Decision::Delete, "delete", "Delete"),
];

/// What may be decided about an item in this state; nothing about most.
pub(crate) fn choices(state: ItemState) -> &'static [Choice] {
    match state {
        ItemState::Escalated | ItemState::Ignored => &OF_ESCALATED,
        ItemState::OrphanCandidate => &OF_MISSED,
        _ => &[],
    }
}

/// What a decision is called, for people.
pub(crate) fn label(decision: Decision) -> &'static str {
    match decision {
        Decision::Requeue => "try again",
        Decision::Ignore => "leave as it is",
        Decision::Delete => "take for gone",
        Decision::Keep => "keep",
    }
}

/// Items with a box to tick each, and what may be decided about those that are ticked.
pub(crate) fn list(found: &Found, choices: &[Choice], back: &str) -> Markup {
    html! {
        form method="post" action="/decisions" {
            input type="hidden" name="back" value=(back);
            (layout::table("Items", &html! { th { span.unseen { "Choose" } } th { "Item" } th.wide { "Source" } th.wide { "Since" } }, &html! { @for item in &found.items { (row(item)) } }))
            label.choice.all { input type="checkbox" name="all" value="yes"; "All " (found.items.len()) " that are shown" }
            (signature())
            (buttons(choices))
        }
    }
}

/// The decision about one item.
pub(crate) fn single(item: &Item, back: &str) -> Markup {
    let choices = choices(item.state);
    html! {
        @if !choices.is_empty() {
            h2 { "Decide" }
            form method="post" action="/decisions" {
                input type="hidden" name="back" value=(back);
                input type="hidden" name="item" value=(ItemName::of(item));
                (signature())
                (buttons(choices))
            }
        }
    }
}

fn buttons(choices: &[Choice]) -> Markup {
    html! {
        div.actions {
            @for (decision, name, label) in choices {
                button.plain[*decision != Decision::Delete].danger[*decision == Decision::Delete] name="decision" value=(name) { (label) }
            }
        }
    }
}

fn row(item: &Item) -> Markup {
    let name = ItemName::of(item);
    let since = item.orphan.as_ref().map(|orphan| orphan.since);
    let since = since.or(item.last_error.as_ref().map(|error| error.at));
    let missed = item.orphan.as_ref().map_or(0, |orphan| orphan.misses);
    html! {
        tr {
            td {
                @if item.state != ItemState::Deleting {
                    input type="checkbox" name="item" value=(name) aria-label={ "Choose " (item.id) };
                    input type="hidden" name="shown" value=(name);
                }
            }
            td.long {
                a href=(items::address(&item.source, &item.id)) { (item.id) }
                @if let Some(error) = &item.last_error { span.small.soft { (error.message) } }
                @if missed > 0 { span.small { (chart::state(item.state)) " \u{b7} missed by " (counted(missed.into(), "crawl")) } }
                @if let Some(ruling) = &item.ruling { span.small.soft { (label(ruling.decision)) ": " (ruling.reason) " (" (ruling.by) ")" } }
            }
            td.wide { a href=(sources::address(&item.source)) { (item.source) } }
            td.wide { @if let Some(at) = since { (time(at)) } }
        }
    }
}

/// Which source is shown, and links to the next items.
pub(crate) fn filter(
    place: &str,
    chosen: &str,
    names: &[String],
    states: &[(&str, &str)],
    state: &str,
) -> Markup {
    html! {
        form.search method="get" action=(place) role="search" aria-label="Items" {
            label for="source" { "Source" }
            select.host #source name="source" {
                option value="" { "every source" }
                @for name in names { option value=(name) selected[name == chosen] { (name) } }
            }
            @if !states.is_empty() {
                label for="state" { "State" }
                select.host #state name="state" {
                    @for (value, text) in states { option value=(value) selected[*value == state] { (text) } }
                }
            }
            button.plain { "Show" }
        }
    }
}

/// Links to the first and the next items.
pub(crate) fn pager(place: &str, found: &Found, params: &Params) -> Markup {
    let kept = |after: &str| {
        let shown = ["source", "state", "limit"].map(|name| (name, params.text(name)));
        link(place, &[shown.as_slice(), &[("after", after)]].concat())
    };
    html! {
        nav.pager aria-label="Further items" {
            @if !params.text("after").is_empty() { a href=(kept("")) { "First items" } }
            @if let Some(next) = &found.next { a href=(kept(&next.to_string())) rel="next" { "Next items" } }
        }
    }
}

/// `/decisions`: decides about the items that were ticked.
pub(crate) async fn take(
    State(app): State<Arc<App>>,
    frame: Frame,
    Form(fields): Form,
) -> Result<Response, Problem> {
    let chosen = fields.text("decision");
    let known = OF_ESCALATED
        .iter()
        .chain(&OF_MISSED)
        .find(|(_, name, _)| *name == chosen);
    let (decision, ..) = known.ok_or_else(|| Problem::bad_request("choose what to decide"))?;
    let ruling = ruling(*decision, fields.text("reason"), fields.text("by"))?;
    let ticked = if fields.text("all").is_empty() {
        "item"
    } else {
        "shown"
    };
    let names: Vec<ItemName> = fields
        .all(ticked)
        .map(|name| ItemName::try_from(name.to_owned()).map_err(Problem::bad_request))
        .collect::<Result<_, _>>()?;
    if names.is_empty() {
        return Err(Problem::bad_request("tick at least one item"));
    }
    let mut refused = Vec::new();
    for name in &names {
        if let Err(why) = decide(&app, &name.source, &name.item, &ruling).await? {
            refused.push((name, why));
        }
    }
    let back = own_place(fields.text("back"));
    if refused.is_empty() {
        return Ok(Redirect::to(back).into_response());
    }
    let frame = frame.recounted(&app).await;
    Ok(partly(&frame, names.len() - refused.len(), &refused, back).into_response())
}

/// Where to go on: a page of this server, whatever the form says.
fn own_place(back: &str) -> &str {
    let own = ["/escalations", "/orphans", "/sources/"];
    if own.iter().any(|place| back.starts_with(place)) {
        back
    } else {
        "/escalations"
    }
}

fn partly(frame: &Frame, done: usize, refused: &[(&ItemName, String)], back: &str) -> Markup {
    let content = html! {
        h1 { "Not everything was done" }
        p.lead { (done) " done, " (refused.len()) " not: somebody else may have been faster." }
        ul { @for (name, why) in refused { li { strong { (name) } " \u{2013} " (sentence(why)) } } }
        div.actions { a.button href=(back) { "Go on" } }
    };
    layout::work_page(frame, Area::Escalations, "Not everything was done", &content)
}
