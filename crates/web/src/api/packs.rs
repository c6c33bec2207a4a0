use std::sync::Arc;

use archive::PackVersion;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use futures::{StreamExt, TryStreamExt, stream};
use model::{Checksum, Host};
use serde::Serialize;
use utoipa::ToSchema;

use crate::display::rfc3339;
use crate::download::Download;
use crate::params::{Named, Params, segment};
use crate::problem::Problem;
use crate::state::App;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1_000;
/// Manifests that are read at a time.
const READS: usize = 8;

/// Packs in force, by host.
#[derive(Serialize, ToSchema)]
pub(crate) struct Packs {
    packs: Vec<PackBody>,
    /// Give it as `after` for the packs that follow; missing where there are none.
    next: Option<String>,
}

/// The pack of a host: one SQLite file that holds its pages and their full-text index.
#[derive(Serialize, ToSchema)]
#[schema(as = Pack)]
struct PackBody {
    #[schema(example = "example.gov")]
    host: String,
    pages: u64,
    passages: u64,
    /// Of the file.
    size_bytes: u64,
    /// RFC 3339.
    built_at: String,
    /// SHA-256 of the file.
    checksum: String,
    /// Where the file is.
    href: String,
}

/// The packs that are searched, by host.
#[utoipa::path(
    get, path = "/api/v1/packs", tag = "packs", operation_id = "list_packs",
    params(
        ("after" = Option<String>, Query, description = "Only hosts after this one: `next` of the last answer"),
        ("limit" = Option<usize>, Query, description = "At most so many, 1 to 1000; 100 where it is missing"),
    ),
    responses(
        (status = 200, body = Packs),
        (status = 400, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn list(State(app): State<Arc<App>>, params: Params) -> Result<Json<Packs>, Problem> {
    let slice = Slice::of(&app, &params).await?;
    Ok(Json(Packs {
        packs: slice.packs.iter().map(PackBody::from).collect(),
        next: slice.next.map(String::from),
    }))
}

/// The file of a pack. Ranges are answered, so a download can be continued.
#[utoipa::path(
    get, path = "/api/v1/packs/{host}/file", tag = "packs", operation_id = "download_pack",
    params(("host" = String, Path, description = "The host")),
    responses(
        (status = 200, description = "An SQLite database", content_type = "application/vnd.sqlite3"),
        (status = 206, description = "The range that was asked for"),
        (status = 304, description = "The client holds this pack: If-None-Match"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn file(
    State(app): State<Arc<App>>,
    Named(host): Named<Host>,
    request: Request,
) -> Result<Response, Problem> {
    let missing = || {
        Problem::not_found(format!(
            "no pack of {host} is published here; /packs shows those that are"
        ))
    };
    let (checksum, path) = app.library.file(&host).ok_or_else(missing)?;
    let download = Download::new(path, &checksum, format!("{host}.sqlite"));
    download.answer(request).await
}

/// Some packs in force, and where the next ones begin.
pub(crate) struct Slice {
    pub(crate) packs: Vec<(Host, PackVersion)>,
    pub(crate) next: Option<Host>,
    /// Hosts in all.
    pub(crate) total: usize,
}

impl Slice {
    pub(crate) async fn of(app: &App, params: &Params) -> Result<Self, Problem> {
        let after: Option<Host> = params.parsed("after")?;
        let limit = params.number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT)?;
        let hosts = app.library.hosts();
        let total = hosts.len();
        let mut rest = hosts
            .into_iter()
            .filter(|(host, _)| after.as_ref().is_none_or(|after| host > after));
        let shown: Vec<_> = rest.by_ref().take(limit).collect();
        let next = rest.next().and(shown.last()).map(|(host, _)| host.clone());
        let versions = stream::iter(shown).map(|(host, checksum)| version(app, host, checksum));
        let packs: Vec<_> = versions.buffered(READS).try_collect().await?;
        Ok(Self {
            packs: packs.into_iter().flatten().collect(),
            next,
            total,
        })
    }
}

/// What is published about the pack in force; nothing where the host was just withdrawn.
async fn version(app: &App, host: Host, checksum: Checksum) -> Result<Option<(Host, PackVersion)>, Problem> {
    let Some(manifest) = app.archive.manifest(&host).await? else {
        return Ok(None);
    };
    let version = manifest
        .versions()
        .find(|version| version.checksum == checksum)
        .cloned();
    Ok(version.map(|version| (host, version)))
}

/// Where the file of a host's pack is.
pub(crate) fn file_address(host: &Host) -> String {
    format!("/api/v1/packs/{}/file", segment(host.as_str()))
}

impl From<&(Host, PackVersion)> for PackBody {
    fn from((host, version): &(Host, PackVersion)) -> Self {
        Self {
            host: host.to_string(),
            pages: version.pages,
            passages: version.passages,
            size_bytes: version.size,
            built_at: rfc3339(version.built_at),
            checksum: version.checksum.to_string(),
            href: file_address(host),
        }
    }
}
