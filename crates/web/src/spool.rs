//! Files that are sent along: written to disk as they arrive, never held in memory.

use axum::http::StatusCode;
use futures::{Stream, StreamExt};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use crate::problem::Problem;

/// Writes what arrives to a file, which goes when the path is dropped.
///
/// # Errors
///
/// 413 where there are more than `max_bytes`, 400 where it breaks off or there is nothing.
pub(crate) async fn to_file<S, B, E>(pieces: S, max_bytes: u64) -> Result<TempPath, Problem>
where
    S: Stream<Item = Result<B, E>>,
    B: AsRef<[u8]>,
{
    let failed = |error: std::io::Error| Problem::failed("the folder for files that are sent", true, &error);
    let (file, path) = tempfile::NamedTempFile::new().map_err(failed)?.into_parts();
    let mut file = tokio::fs::File::from_std(file);
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
        _ => Ok(path),
    }
}
