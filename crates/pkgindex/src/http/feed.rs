//! What has changed since a revision.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use crate::change::{Change, Revision};
use crate::http::app::App;
use crate::http::params::Params;
use crate::http::problem::Problem;

/// Changes, oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Feed {
    /// The newest revision; there are more changes when the last one here leads to an older one.
    revision: u64,
    /// Which history this is; see [`Index::origin`](crate::Index::origin).
    instance: String,
    changes: Vec<Told>,
}

impl Feed {
    /// The changes, when all of them are some.
    pub(crate) fn into_changes(self) -> Option<Vec<Change>> {
        self.changes.into_iter().map(Told::into_change).collect()
    }
}

/// A [`Change`] as JSON.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    revision: u64,
    /// Sixteen digits in base 16: numbers in JSON are not exact that far.
    origin: String,
    lines: String,
}

impl From<Change> for Told {
    fn from(change: Change) -> Self {
        Self {
            revision: change.revision.0,
            origin: format!("{:016x}", change.origin),
            // Lines are ASCII.
            lines: String::from_utf8_lossy(&change.lines).into_owned(),
        }
    }
}

impl Told {
    fn into_change(self) -> Option<Change> {
        Some(Change {
            revision: Revision(self.revision),
            origin: u64::from_str_radix(&self.origin, 16).ok()?,
            lines: self.lines.into(),
        })
    }
}

/// The text for an [`Index::origin`](crate::Index::origin).
pub(super) fn instance(app: &App) -> String {
    format!("{:016x}", app.index.history())
}

/// `/v1/changes`: changes behind a revision; waits for the first, when asked to.
pub(super) async fn changes(State(app): State<Arc<App>>, params: Params) -> Result<Json<Feed>, Problem> {
    params.only(&["after", "wait_ms", "instance"])?;
    let after = params.revision("after")?;
    let longest = u64::try_from(app.options.wait.as_millis()).unwrap_or(u64::MAX);
    let wait_ms = params.number("wait_ms", 0..=longest)?.unwrap_or(0);
    let known = params.text("instance");
    app.index.settled().await?;
    wait_for_change(&app, after, Duration::from_millis(wait_ms)).await;
    Ok(Json(feed(&app, after, known)?))
}

fn feed(app: &App, after: Revision, known: Option<&str>) -> Result<Feed, Problem> {
    let changes = app.index.changes(after)?;
    // Asked for after the changes: they are not of a history that is newer than this.
    let instance = instance(app);
    if known.is_some_and(|known| known != instance) {
        let detail =
            "the index was opened anew and may have another history; take a dump and go on from its revision";
        return Err(Problem::gone(detail));
    }
    let newest = *app.index.committed().borrow();
    Ok(Feed {
        revision: newest.max(after).0,
        instance,
        changes: changes.into_iter().map(Told::from).collect(),
    })
}

async fn wait_for_change(app: &App, after: Revision, wait: Duration) {
    let mut committed = app.index.committed();
    let changed = committed.wait_for(|committed| *committed != after);
    tokio::select! {
        _ = changed => {}
        () = tokio::time::sleep(wait) => {}
        () = app.stop.cancelled() => {}
    }
}
