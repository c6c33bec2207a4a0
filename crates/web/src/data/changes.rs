//! What changed between two versions of the data.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use dataset::{Change, ChangedRow, CompareOptions, changed_keys};
use model::{RunId, ScraperId};
use registry::Scraper;
use runner::DataFile;

use crate::api::refusals::{Limited, Missing, Withheld, Wrong};
use crate::api::scrapers::OwnerAndName;
use crate::data::access::Granted;
use crate::data::desk::{Asker, Seat};
use crate::data::json as values;
use crate::data::params::Sent;
use crate::data::v1::size;
use crate::params::Segments;
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_CHANGES: u64 = 10_000;
const MAX_CHANGES: u64 = 100_000;
/// Where an answer ends even if it has room for more keys.
const MAX_BYTES: usize = 64 << 20;
/// How long comparing may take, so that there is an answer in time.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Two versions of a scraper's data, and a seat to compare them.
pub(crate) struct Versions {
    old: DataFile,
    new: DataFile,
    options: CompareOptions,
    seat: Seat,
}

impl Versions {
    /// Version `from` and version `to`, or the one in force.
    pub(crate) async fn of(
        app: &App,
        scraper: &Scraper,
        asker: Asker,
        from: u64,
        to: Option<u64>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            old: app.runner.data(&scraper.id, Some(from)).await?,
            new: app.runner.data(&scraper.id, to).await?,
            options: CompareOptions {
                ignore_columns: scraper.settings.ignore_columns.clone(),
                time: MAX_TIME,
            },
            seat: app.desk.seat(asker).await?,
        })
    }

    /// Their numbers: from which, to which.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        (self.old.version.number, self.new.version.number)
    }

    /// Adds each row that changed to `list`, tables by name and rows by key, as long as there is room.
    pub(crate) async fn compare<T: Send + 'static>(
        self,
        mut list: T,
        add: fn(&mut T, &ChangedRow<'_>) -> bool,
    ) -> Result<T, Problem> {
        let compared = tokio::task::spawn_blocking(move || {
            let _seat = self.seat;
            let (old, new) = (&self.old.path, &self.new.path);
            changed_keys(Some(old), new, &self.options, |row| add(&mut list, &row))?;
            Ok::<_, Problem>(list)
        });
        compared
            .await
            .map_err(|error| Problem::failed("comparing the data", false, &error))?
    }
}

/// The keys of the rows that changed since a run: from the version that was in force when it was over to the one in force now. Rows of tables without a key
/// are told whole.
///
/// `{"from", "to", "changes": [{"table", "change", "key"}], "truncated"}`
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/changes", tag = "data", operation_id = "list_changes",
    params(
        OwnerAndName,
        ("since" = u64, Query, description = "The number of a run whose data is kept still"),
        ("_size" = Option<u64>, Query, description = "Keys at most, from 1 to 100000; 10000 where it is missing"),
    ),
    responses(
        (status = 200, description = "Changed keys, tables by name and rows by key", content_type = "application/json"),
        Wrong,
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn since_run(
    State(app): State<Arc<App>>,
    Segments((owner, name)): Segments<(String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let granted = Granted::of(&app, &owner, &name, &sent).await?;
    let since: RunId = sent.get("since").unwrap_or_default().parse()?;
    let from = left_by(&app, &granted.scraper.id, since).await?;
    told(&app, &granted, &sent, from, None).await
}

/// The keys of the rows that changed from one version to another, as `.../changes` tells them.
#[utoipa::path(
    get, path = "/api/v1/scrapers/{owner}/{name}/versions/{version}/changes", tag = "data", operation_id = "compare_versions",
    params(
        OwnerAndName,
        ("version" = u64, Path, description = "The number of the older version"),
        ("to" = Option<u64>, Query, description = "The number of the other version; the one in force where it is missing"),
        ("_size" = Option<u64>, Query, description = "Keys at most, from 1 to 100000; 10000 where it is missing"),
    ),
    responses(
        (status = 200, description = "Changed keys, tables by name and rows by key", content_type = "application/json"),
        Wrong,
        Withheld,
        Missing,
        Limited,
    )
)]
pub(crate) async fn since_version(
    State(app): State<Arc<App>>,
    Segments((owner, name, version)): Segments<(String, String, String)>,
    sent: Sent,
) -> Result<Response, Problem> {
    let granted = Granted::of(&app, &owner, &name, &sent).await?;
    let to = sent.get("to").filter(|to| !to.is_empty()).map(version_number);
    told(&app, &granted, &sent, version_number(&version)?, to.transpose()?).await
}

/// The number of a version.
pub(crate) fn version_number(text: &str) -> Result<u64, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request("a version is a number"))
}

async fn told(
    app: &App,
    granted: &Granted,
    sent: &Sent,
    from: u64,
    to: Option<u64>,
) -> Result<Response, Problem> {
    let size = size(sent, DEFAULT_CHANGES, MAX_CHANGES)?;
    let versions = Versions::of(app, &granted.scraper, granted.asker.clone(), from, to).await?;
    let (from, to) = versions.numbers();
    let list = versions.compare(List::new(from, to, size), List::add).await?;
    let json = HeaderValue::from_static("application/json");
    Ok(granted.mark(([(header::CONTENT_TYPE, json)], list.end())))
}

/// The version in force when a run was over. A run that changed nothing, or whose data was not taken, left that of another one.
async fn left_by(app: &App, scraper: &ScraperId, run: RunId) -> Result<u64, Problem> {
    let missing = |why: &str| Problem::not_found(format!("run {run} {why}"));
    let registry = app.runner.registry();
    let known = registry.run(run).await?;
    if known.scraper != *scraper {
        return Err(missing(&format!("is not one of {scraper}")));
    }
    let Some(over_at) = known.finished_at else {
        return Err(missing("is not over; take the one before it"));
    };
    if let Some(version) = known.ending.and_then(|ending| ending.version) {
        return Ok(version);
    }
    let versions = registry.versions(scraper).await?;
    let before = versions.into_iter().find(|version| version.at <= over_at);
    let gone = || missing("left no version of the data that is kept; take a later one");
    before.map(|version| version.number).ok_or_else(gone)
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
