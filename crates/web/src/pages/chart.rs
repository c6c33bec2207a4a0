use crawldb::ItemState;
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

/// The line that the page draws the rate of a crawl on while it watches.
pub(crate) fn rate_line() -> Markup {
    html! {
        svg.spark hidden viewBox="0 0 240 40" preserveAspectRatio="none" role="img" aria-label="Pages per second while this page is open" {
            polyline data-spark="" points="" {}
        }
    }
}
