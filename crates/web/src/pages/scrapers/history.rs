//! The last runs: a small plot of what each added, changed and removed, and a table.

use maud::{Markup, html};
use model::ScraperId;
use registry::{Outcome, Run};

use super::words::{self, sum};
use super::{address, run_address};
use crate::display::{count, time};
use crate::pages::layout::table;

/// Runs in the plot.
pub(super) const PLOTTED: usize = 60;
/// Runs in the table, unless all of the plot are asked for.
const LISTED: usize = 10;
/// Space that one run takes.
const BAR: usize = 10;
const HEIGHT: f64 = 60.0;

/// Runs, newest first.
pub(super) fn section(id: &ScraperId, runs: &[Run], lists_all: bool) -> Markup {
    let listed = if lists_all { runs.len() } else { LISTED };
    let head = html! { th { "Run" } th { "Outcome" } th { "Rows" } th.wide { "Took" } th.wide { "Why" } };
    let rows = html! { @for run in runs.iter().take(listed) { (row(run)) } };
    html! {
        @if !runs.is_empty() {
            h2 #history { "History" }
            (plot(runs))
            (table("Runs", &head, &rows))
            @if runs.len() > listed { p { a href={ (address(id)) "?runs=all#history" } { "The last " (count(runs.len() as u64)) " runs" } } }
        }
    }
}

fn row(run: &Run) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(run_address(run.id)) { (run.id) } span.small.soft { (time(run.started_at.unwrap_or(run.queued_at))) } }
            td { (words::state(run)) }
            td { (words::rows(run)) }
            td.wide { (words::took(run)) }
            td.wide { (words::cause(&run.cause)) }
        }
    }
}

/// The newest stands last. The table says the same in words.
fn plot(runs: &[Run]) -> Markup {
    let over: Vec<&Run> = runs.iter().filter(|run| run.ending.is_some()).collect();
    let most = over.iter().map(|run| moved(run)).max().unwrap_or(0).max(1);
    let width = over.len().max(20) * BAR;
    html! {
        @if over.len() > 1 {
            svg.history viewBox={ "0 0 " (width) " 60" } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, run) in over.iter().rev().enumerate() {
                    @for (class, top, height) in stack(run, most) {
                        rect class=(class) x=(at * BAR + 1) y=(top) width=(BAR - 2) height=(height) {}
                    }
                }
            }
            ul.key {
                @for (class, word) in [("success", "added"), ("in_flight", "changed"), ("gone", "removed"), ("escalated", "failed")] {
                    li { svg.dot viewBox="0 0 10 10" aria-hidden="true" { circle class=(class) cx="5" cy="5" r="5" {} } (word) }
                }
            }
        }
    }
}

fn moved(run: &Run) -> u64 {
    let rows = run
        .ending
        .as_ref()
        .map(|ending| sum(&ending.changes))
        .unwrap_or_default();
    rows.added + rows.changed + rows.removed
}

/// The parts of one bar from below: what they are, where they begin from above, how high they are. A run without change, and one that failed, can be seen too.
fn stack(run: &Run, most: u64) -> Vec<(&'static str, String, String)> {
    let Some(ending) = &run.ending else {
        return Vec::new();
    };
    let rows = sum(&ending.changes);
    let failed = !matches!(ending.outcome, Outcome::Succeeded | Outcome::Stopped);
    let foot = if failed { "escalated" } else { "unchanged" };
    let mut top = HEIGHT - 3.0;
    let mut parts = vec![(foot, format!("{top:.1}"), "3.0".to_owned())];
    for (class, number) in [
        ("success", rows.added),
        ("in_flight", rows.changed),
        ("gone", rows.removed),
    ] {
        let height = (HEIGHT - 3.0) * number as f64 / most as f64;
        top -= height;
        if number > 0 {
            parts.push((class, format!("{top:.1}"), format!("{height:.1}")));
        }
    }
    parts
}
