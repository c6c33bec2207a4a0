//! Everything at once, out and in.

use std::io::{self, BufReader, BufWriter};
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::runtime::Handle;

use crate::formats::{Fault, FormatError, Read, read_crates, read_debian, read_dump, write_dump};
use crate::http::app::App;
use crate::http::body::{Incoming, pipe};
use crate::http::feed::instance;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::index::{BatchError, Index};

/// Which history a dump is of; see [`Index::origin`].
pub(crate) const INSTANCE: HeaderName = HeaderName::from_static("pkgindex-instance");
/// The revision of a dump.
const REVISION: HeaderName = HeaderName::from_static("pkgindex-revision");

/// Bytes of a piece of a stream.
const PIECE_BYTES: usize = 64 << 10;

/// `/v1/dump`: all packages.
pub(super) async fn dump(State(app): State<Arc<App>>, params: Params) -> Result<Response, Problem> {
    params.only(&[])?;
    let slot = app.transfer()?;
    // Asked for before the packages: they are not of a history that is older than this.
    let instance = instance(&app);
    let snapshot = app.with_snapshot(|snapshot| Ok(Arc::clone(snapshot))).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=us-ascii".to_owned()),
        (INSTANCE, instance),
        (REVISION, snapshot.revision().to_string()),
    ];
    let (mut outgoing, body) = pipe(app.options.patience);
    tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let buffer = BufWriter::with_capacity(PIECE_BYTES, &mut outgoing);
        let sent = write_dump(&snapshot, buffer).and_then(|()| outgoing.end());
        if let Err(error) = sent {
            tracing::debug!(%error, "a dump was not fetched to its end");
        }
    });
    Ok((headers, body).into_response())
}

/// What was loaded.
#[derive(Serialize)]
pub(super) struct Loaded {
    revision: u64,
    packages: usize,
    edges: usize,
    /// Packages that were there and are not in what was loaded; only a replacement removes them.
    removed: usize,
    /// Dependencies that were left out because nothing in the input has their names.
    unresolved: usize,
    unresolved_names: Vec<String>,
}

/// What a load is to do.
#[derive(Clone, Copy)]
enum Mode {
    /// Packages that are not in it stay.
    Merge,
    /// What is not in it goes.
    Replace,
}

type Reader = fn(BufReader<Incoming>) -> Result<Read, FormatError>;

/// `/v1/load`: many packages as one change.
pub(super) async fn load(
    State(app): State<Arc<App>>,
    params: Params,
    body: Body,
) -> Result<Json<Loaded>, Problem> {
    params.only(&["format", "replace"])?;
    let read = reader(&params)?;
    let mode = match params.is_true("replace")? {
        true => Mode::Replace,
        false => Mode::Merge,
    };
    if !app.index.is_writable() {
        return Err(BatchError::ReadOnly.into());
    }
    let slot = app.transfer()?;
    let incoming = Incoming::new(body, app.options.load_bytes, app.options.patience);
    let (index, runtime) = (app.index.clone(), Handle::current());
    let loaded = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        let read = read(BufReader::with_capacity(PIECE_BYTES, incoming))?;
        runtime.block_on(put(&index, read, mode)).map(Json)
    });
    loaded
        .await
        .unwrap_or_else(|error| Err(Problem::broken("the load", &error)))
}

fn reader(params: &Params) -> Result<Reader, Problem> {
    match params.text("format").unwrap_or("dump") {
        "dump" => Ok(read_dump),
        "debian" => Ok(read_debian),
        "crates-io" => Ok(read_crates),
        _ => Err(Problem::bad_request(
            "the parameter \"format\" is dump, debian or crates-io",
        )),
    }
}

async fn put(index: &Index, Read { lines, report }: Read, mode: Mode) -> Result<Loaded, Problem> {
    let (revision, removed) = match mode {
        Mode::Merge => (index.batch(&lines).await?, 0),
        Mode::Replace => index.replace(&lines).await?,
    };
    Ok(Loaded {
        revision: revision.0,
        packages: report.packages,
        edges: report.edges,
        removed,
        unresolved: report.unresolved,
        unresolved_names: report.unresolved_names,
    })
}

impl From<FormatError> for Problem {
    fn from(error: FormatError) -> Self {
        let status = match &error {
            FormatError::Io { source, .. } => match source.kind() {
                io::ErrorKind::FileTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                io::ErrorKind::TimedOut => StatusCode::REQUEST_TIMEOUT,
                _ => StatusCode::BAD_REQUEST,
            },
            FormatError::Line {
                fault: Fault::TooLarge,
                ..
            } => StatusCode::PAYLOAD_TOO_LARGE,
            FormatError::Line { .. } | FormatError::File { .. } => StatusCode::BAD_REQUEST,
        };
        Self::new(status, format!("{error}; nothing was loaded"))
    }
}
