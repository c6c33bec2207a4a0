use std::io::{self, BufWriter, Write};

use anyhow::Result;
use pkgindex::formats::write_dump;

use super::place::Place;
use crate::cli::pkgindex::IndexPlace;
use crate::exit::Exit;

/// Writes a whole index to stdout. The last line says that it is whole; a reader misses it when something broke on the way.
pub(crate) async fn run(place: &IndexPlace) -> Result<Exit> {
    match write(place).await {
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.downcast_ref().is_some_and(is_broken_pipe) => Ok(Exit::Done),
        written => written.map(|()| Exit::Done),
    }
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

async fn write(place: &IndexPlace) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    match Place::open(place)? {
        Place::Here(index) => write_dump(&*index.snapshot().await?, &mut out)?,
        Place::Server(server) => {
            let mut response = server.answer(server.get("/v1/dump", &[])).await?;
            while let Some(piece) = response.chunk().await? {
                out.write_all(&piece)?;
            }
        }
    }
    Ok(out.flush()?)
}
