use std::io;

use anyhow::Result;

use crate::exit::Exit;

/// Reads one PDF from stdin within the limits that come before it.
pub(crate) fn run() -> Result<Exit> {
    extract::serve_pdf(io::stdin().lock(), io::stdout().lock())?;
    Ok(Exit::Done)
}
