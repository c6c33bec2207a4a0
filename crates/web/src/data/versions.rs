//! Older data, and what changed since.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use dataset::{Change, ChangedRow, CompareOptions, changed_keys};
use model::{RunId, ScraperId};

use crate::data::access::Granted;
use crate::data::json as values;
use crate::data::params::Sent;
use crate::data::v1::size;
use crate::download::Download;
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_CHANGES: u64 = 10_000;
const MAX_CHANGES: u64 = 100_000;
/// Where an answer ends even if it has room for more keys.
const MAX_BYTES: usize = 64 << 20;
/// How long comparing may take, so that there is an answer in time.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The database of one version.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/versions/{version}/data.sqlite", tag = "data", operation_id = "download_version",
    params(
        ("owner" = String, Path, description = "Whose scraper"),
        ("name" = String, Path, description = "The scraper"),
        ("version" = u64, Path, description = "The number of the version"),
    ),
    responses(
        (status = 200, description = "An SQLite database", content_type = "application/vnd.sqlite3"),
        (status = 206, description = "The range that was asked for"),
        (status = 304, description = "The client holds this version: If-None-Match"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Path((owner, name, version)): Path<(String, String, String)>,
    sent: Sent,
    request: Request,
) -> Result<Response, Problem> {
    let granted = Granted::of(&app, &owner, &name, &sent).await?;
    let number = version
        .parse()
        .map_err(|_| Problem::bad_request("a version is a number"))?;
    let data = app.runner.data(&granted.scraper.id, Some(number)).await?;
    let download = Download::new(
        data.path,
        &data.version.checksum,
        format!("{name}-{number}.sqlite"),
    );
    Ok(granted.mark(download.answer(request).await?))
}

/// The keys of the rows that changed since a run: from the version that it left to the one in force. Rows of tables without a key are told whole.
///
/// `{"from", "to", "changes": [{"table", "change", "key"}], "truncated"}`
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/changes", tag = "data", operation_id = "list_changes",
    params(
        ("owner" = String, Path, description = "Whose scraper"),
        ("name" = String, Path, description = "The scraper"),
        ("since" = u64, Query, description = "The number of a run that left data which is kept still"),
        ("_size" = Option<u64>, Query, description = "Keys at most, from 1 to 100000; 10000 where it is missing"),
    ),
    responses(
        (status = 200, description = "Changed keys, tables by name and rows by key", content_type = "application/json"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 429, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    Path((owner, name)): Path<(String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let granted = Granted::of(&app, &owner, &name, &sent).await?;
    let size = size(&sent, DEFAULT_CHANGES, MAX_CHANGES)?;
    let since: RunId = sent.get("since").unwrap_or_default().parse()?;
    let scraper = &granted.scraper.id;
    let from = left_by(&app, scraper, since).await?;
    let old = app.runner.data(scraper, Some(from)).await?;
    let new = app.runner.data(scraper, None).await?;
    let options = CompareOptions {
        ignore_columns: granted.scraper.settings.ignore_columns.clone(),
        time: MAX_TIME,
    };
    let seat = app.desk.seat(granted.asker).await?;
    let told = tokio::task::spawn_blocking(move || {
        let _seat = seat;
        let mut list = List::new(from, new.version.number, size);
        changed_keys(Some(&old.path), &new.path, &options, |row| list.add(&row))?;
        Ok::<_, Problem>(list.end())
    });
    let body = told
        .await
        .unwrap_or_else(|_| Err(Problem::bad_request("the data cannot be compared")))?;
    let json = HeaderValue::from_static("application/json");
    Ok(granted.mark(([(header::CONTENT_TYPE, json)], body)))
}

/// The version that a run left.
async fn left_by(app: &App, scraper: &ScraperId, run: RunId) -> Result<u64, Problem> {
    let versions = app.runner.registry().versions(scraper).await;
    let versions = versions.map_err(|error| Problem::failed("the registry", true, &error))?;
    let version = versions.into_iter().find(|version| version.run == Some(run));
    let missing = || {
        Problem::not_found(format!(
            "run {run} left no version of the data that is kept; take a later one"
        ))
    };
    version.map(|version| version.number).ok_or_else(missing)
}

/// The answer, as it grows.
struct List {
    out: Vec<u8>,
    left: u64,
    is_truncated: bool,
}

impl List {
    fn new(from: u64, to: u64, size: u64) -> Self {
        Self {
            out: format!("{{\"from\":{from},\"to\":{to},\"changes\":[").into_bytes(),
            left: size,
            is_truncated: false,
        }
    }

    /// Whether there is room for more.
    fn add(&mut self, row: &ChangedRow<'_>) -> bool {
        if self.left == 0 || self.out.len() >= MAX_BYTES {
            self.is_truncated = true;
            return false;
        }
        self.left -= 1;
        let before: &[u8] = if self.out.ends_with(b"[") {
            b"\n{\"table\":"
        } else {
            b",\n{\"table\":"
        };
        self.out.extend_from_slice(before);
        values::string(row.table, &mut self.out);
        let change = match row.change {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Changed => "changed",
        };
        let change = format!(",\"change\":\"{change}\",\"key\":{{");
        self.out.extend_from_slice(change.as_bytes());
        for (at, (name, value)) in row.key.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            values::string(name, &mut self.out);
            self.out.push(b':');
            values::value(value, &mut self.out);
        }
        self.out.extend_from_slice(b"}}");
        true
    }

    fn end(mut self) -> Vec<u8> {
        let end = format!("\n],\"truncated\":{}}}\n", self.is_truncated);
        self.out.extend_from_slice(end.as_bytes());
        self.out
    }
}
