//! Files that are sent along: written to disk as they arrive, never held in memory, and a few at a time.

use std::ops::Deref;
use std::path::Path;

use axum::http::StatusCode;
use futures::{Stream, StreamExt};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;
use tokio::sync::OwnedSemaphorePermit;

use crate::problem::Problem;
use crate::state::App;

/// A file that was sent. It goes when it is dropped, and makes room for another one.
pub(crate) struct Spooled {
    path: TempPath,
    _room: OwnedSemaphorePermit,
}

impl Deref for Spooled {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// Writes what arrives to a file on the runner's disk.
///
/// # Errors
///
/// 413 where there are more than `max_bytes`, 400 where it breaks off or there is nothing, 503 while too many are being sent.
pub(crate) async fn to_file<S, B, E>(app: &App, pieces: S, max_bytes: u64) -> Result<Spooled, Problem>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    let failed = |error: std::io::Error| Problem::failed("the folder for files that are sent", true, &error);
    let room = app.upload()?;
    let path = app.runner.incoming()?;
    let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
    let mut pieces = std::pin::pin!(pieces);
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        let piece =
            piece.map_err(|_| Problem::bad_request("the file did not arrive whole; send it again"))?;
        bytes += piece.as_ref().len() as u64;
        if bytes > max_bytes {
            let detail = format!("the file is larger than {max_bytes} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        file.write_all(piece.as_ref()).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    match bytes {
        0 => Err(Problem::bad_request("the file is empty; send it as the body")),
        _ => Ok(Spooled { path, _room: room }),
    }
}
