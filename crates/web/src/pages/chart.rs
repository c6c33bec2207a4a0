use crawldb::{Crawl, ItemState};
use maud::{Markup, html};

use crate::api::wire::state_name;
use crate::display::count;

/// What a state is called, for people.
pub(crate) fn label(state: ItemState) -> &'static str {
    match state {
        ItemState::Pending => "pending",
        ItemState::InFlight => "in flight",
        ItemState::Success => "success",
        ItemState::Unchanged => "unchanged",
        ItemState::Failure => "will be retried",
        ItemState::Escalated => "escalated",
        ItemState::Ignored => "ignored",
        ItemState::OrphanCandidate => "orphan candidate",
        ItemState::Deleting => "deleting",
        ItemState::Deleted => "deleted",
    }
}

/// A state with its colour.
pub(crate) fn state(state: ItemState) -> Markup {
    html! { span.state { (dot(state)) (label(state)) } }
}

fn dot(state: ItemState) -> Markup {
    html! {
        svg.dot viewBox="0 0 10 10" aria-hidden="true" { circle class=(state_name(state)) cx="5" cy="5" r="5" {} }
    }
}

/// How many items are in which state: a bar whose parts are as long as their share, and its key in words.
pub(crate) fn states(counts: &[(ItemState, u64)], link: impl Fn(ItemState) -> String) -> Markup {
    let total: u64 = counts.iter().map(|(_, items)| items).sum();
    html! {
        svg.states viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true" {
            @for (state, from, length) in shares(counts, total) {
                rect class=(state_name(state)) x=(from) y="0" width=(length) height="10" {}
            }
        }
        ul.key {
            @for &(state, items) in counts {
                li { (dot(state)) a href=(link(state)) { (count(items)) " " (label(state)) } }
            }
        }
    }
}

/// Where each part of the bar begins and how long it is, in thousandths. A part that is there can be seen.
fn shares(counts: &[(ItemState, u64)], total: u64) -> Vec<(ItemState, String, String)> {
    let mut from = 0.0;
    let mut parts = Vec::with_capacity(counts.len());
    for &(state, items) in counts.iter().filter(|(_, items)| *items > 0) {
        let length = (1_000.0 * items as f64 / total as f64).max(4.0);
        parts.push((state, format!("{from:.1}"), format!("{length:.1}")));
        from += length;
    }
    parts
}

/// Space that one crawl takes in the plot of the last ones.
const BAR: usize = 10;
const HEIGHT: f64 = 60.0;

/// What the last crawls found: a bar for each, the newest last. The table below says the same in words.
pub(crate) fn history(crawls: &[Crawl]) -> Markup {
    let most = crawls
        .iter()
        .map(|crawl| crawl.totals.seen)
        .max()
        .unwrap_or(0)
        .max(1);
    let width = crawls.len().max(20) * BAR;
    html! {
        @if crawls.len() > 1 {
            svg.history viewBox={ "0 0 " (width) " 60" } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, crawl) in crawls.iter().rev().enumerate() {
                    @for (state, top, height) in stack(crawl, most) {
                        rect class=(state_name(state)) x=(at * BAR + 1) y=(top) width=(BAR - 2) height=(height) {}
                    }
                }
            }
        }
    }
}

/// The parts of one bar from below: what they are, where they begin from above, how high they are.
fn stack(crawl: &Crawl, most: u64) -> Vec<(ItemState, String, String)> {
    let mut top = HEIGHT;
    let mut parts = Vec::new();
    for (state, items) in outcomes(crawl) {
        let height = HEIGHT * items as f64 / most as f64;
        top -= height;
        parts.push((state, format!("{top:.1}"), format!("{height:.1}")));
    }
    parts
}

/// What became of the items of a crawl, without what became of none.
pub(crate) fn outcomes(crawl: &Crawl) -> Vec<(ItemState, u64)> {
    let totals = crawl.totals;
    let others = totals.unchanged + totals.open + totals.failed + totals.escalated + totals.deleted;
    let outcomes = [
        (ItemState::Success, totals.seen.saturating_sub(others)),
        (ItemState::Unchanged, totals.unchanged),
        (ItemState::Pending, totals.open),
        (ItemState::Failure, totals.failed),
        (ItemState::Escalated, totals.escalated),
        (ItemState::Deleted, totals.deleted),
    ];
    outcomes.into_iter().filter(|(_, items)| *items > 0).collect()
}

/// The line that the page draws the rate of a crawl on while it watches.
pub(crate) fn rate_line() -> Markup {
    html! {
        svg.spark hidden viewBox="0 0 240 40" preserveAspectRatio="none" role="img" aria-label="Pages per second while this page is open" {
            polyline data-spark="" points="" {}
        }
    }
}
