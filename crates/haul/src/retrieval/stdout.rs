//! Files to stdout, one after the other.

use std::io::{self, Write};
use std::sync::Arc;

use anyhow::{Context, Result};
use retrieve::{Error, FileMeta, Files, Report};

/// How copying ended.
pub(crate) enum Copied {
    /// At the end of the last file; what became of the run.
    All(Arc<Report>),
    /// At this file, which failed: nothing was written after it.
    Failed(Box<FileMeta>, Error),
    /// Whoever reads has read enough, as `head` does.
    Enough,
}

/// Writes every file to `out`, up to the first one that fails.
///
/// # Errors
///
/// When `out` takes no more.
pub(crate) async fn copy(mut files: Files, out: &mut impl Write) -> Result<Copied> {
    while let Some(file) = files.next_file().await {
        let mut file = match file {
            Ok(file) => file,
            Err((meta, error)) => return Ok(failed(files, meta, error).await),
        };
        while let Some(piece) = file.next_piece().await {
            let piece = match piece {
                Ok(piece) => piece,
                Err(error) => return Ok(failed(files, file.meta(), error).await),
            };
            match out.write_all(&piece) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Copied::Enough),
                written => written.context("stdout cannot be written")?,
            }
        }
    }
    Ok(Copied::All(files.report().await))
}

/// Hooks that write files of their own hear of the end first.
async fn failed(files: Files, meta: FileMeta, error: Error) -> Copied {
    files.control().cancel();
    files.report().await;
    Copied::Failed(Box::new(meta), error)
}
