use std::sync::Arc;

use archive::ArchiveError;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;

use crate::state::App;

/// Which parts answer.
#[derive(Serialize)]
pub(crate) struct Readiness {
    ready: bool,
    crawldb: &'static str,
    archive: &'static str,
    search: &'static str,
}

/// `/healthz`: the process lives.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// `/readyz`: 200 when every part answers, else 503, with the parts that do not.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Readiness>) {
    let crawldb = app
        .crawldb()
        .sources()
        .await
        .map(drop)
        .map_err(|error| error.to_string());
    let archive = app
        .archive
        .probe()
        .await
        .map_err(|error: ArchiveError| error.to_string());
    let parts = [said("crawldb", crawldb), said("archive", archive)];
    let ready = parts.iter().all(|part| *part == "ok") && !app.stop.is_cancelled();
    let [crawldb, archive] = parts;
    let search = if app.library.hosts().is_empty() {
        "no packs yet"
    } else {
        "ok"
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        Json(Readiness {
            ready,
            crawldb,
            archive,
            search,
        }),
    )
}

/// What clients are told of a part; the reason goes to the log.
fn said(part: &'static str, answer: Result<(), String>) -> &'static str {
    match answer {
        Ok(()) => "ok",
        Err(error) => {
            tracing::warn!(%error, "{part} is not ready");
            "does not answer; the log of the server says why"
        }
    }
}
