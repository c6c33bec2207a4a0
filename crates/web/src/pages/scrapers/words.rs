//! How runs are called, for people.

use std::time::Duration;

use maud::{Markup, html};
use registry::{Cause, Outcome, Phase, RowChanges, Run, TableChanges};

use crate::display::{count, duration};

/// What became of a run, or where it is, with its colour.
pub(super) fn state(run: &Run) -> Markup {
    let (class, word) = match &run.ending {
        Some(ending) => (colour(ending.outcome), outcome(ending.outcome)),
        None => (of_phase(run.phase), phase(run.phase)),
    };
    html! {
        span.state { svg.dot viewBox="0 0 10 10" aria-hidden="true" { circle class=(class) cx="5" cy="5" r="5" {} } (word) }
    }
}

pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::BuildFailed => "build failed",
        Outcome::SyncFailed => "code not fetched",
        Outcome::NoData => "no data",
        Outcome::OutOfMemory => "out of memory",
        Outcome::TimedOut => "timed out",
        Outcome::DiskFull => "disk full",
        Outcome::Stopped => "stopped",
        Outcome::Lost => "lost",
    }
}

pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "waits",
        Phase::Leased => "begins",
        Phase::Syncing => "fetching code",
        Phase::Building => "installing",
        Phase::Running => "running",
        Phase::Collecting => "taking in data",
        Phase::Finished => "over",
    }
}

fn colour(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "success",
        Outcome::Stopped => "ignored",
        _ => "escalated",
    }
}

fn of_phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Queued => "pending",
        _ => "in_flight",
    }
}

/// Why there is a run.
pub(super) fn cause(cause: &Cause) -> String {
    match cause {
        Cause::Person { by } => format!("by {by}"),
        Cause::Api { by } => format!("by a program of {by}"),
        Cause::Schedule => "by schedule".to_owned(),
        Cause::Push => "after a push".to_owned(),
        Cause::After { scraper } => format!("after {scraper}"),
        Cause::Upload { by, .. } => format!("code sent by {by}"),
    }
}

/// All tables together.
pub(super) fn sum(changes: &TableChanges) -> RowChanges {
    changes
        .values()
        .fold(RowChanges::default(), |sum, rows| RowChanges {
            added: sum.added + rows.added,
            removed: sum.removed + rows.removed,
            changed: sum.changed + rows.changed,
            unchanged: sum.unchanged + rows.unchanged,
        })
}

/// `+3 ~1 -0`, and the same in words for those who hear it.
pub(super) fn rows(run: &Run) -> Markup {
    let rows = run
        .ending
        .as_ref()
        .map(|ending| sum(&ending.changes))
        .unwrap_or_default();
    let is_same = rows.added + rows.removed + rows.changed == 0;
    html! {
        @if run.ending.is_none() {}
        @else if is_same { span.soft { (count(rows.unchanged)) " unchanged" } }
        @else {
            span aria-hidden="true" { "+" (count(rows.added)) " ~" (count(rows.changed)) " \u{2212}" (count(rows.removed)) }
            span.unseen { (count(rows.added)) " added, " (count(rows.changed)) " changed, " (count(rows.removed)) " removed" }
        }
    }
}

/// How long the program ran.
pub(super) fn took(run: &Run) -> String {
    let ending = run.ending.as_ref().filter(|ending| ending.usage.wall_ms > 0);
    ending.map_or_else(String::new, |ending| {
        duration(Duration::from_millis(ending.usage.wall_ms))
    })
}
