use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use pkgindex::Index;
use pkgindex::formats::{self, read_crates, read_crates_folder, read_debian, read_dump, write_dump};
use serde::{Deserialize, Serialize};

use super::place::{Place, Server};
use crate::cli::pkgindex::{Format, Load};
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};

/// How much of the beginning tells what a file is.
const BEGINNING: u64 = 64;

/// What was loaded, as the server says it too.
#[derive(Serialize, Deserialize)]
struct Loaded {
    revision: u64,
    packages: usize,
    edges: usize,
    removed: usize,
    unresolved: usize,
    unresolved_names: Vec<String>,
}

/// Indexes everything in a file as one change: all of it, or nothing.
pub(crate) async fn run(output: Output, load: &Load) -> Result<Exit> {
    let bar =
        ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg} {elapsed}")?);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message(format!("reading {}", load.file.display()));
    // Read here whoever keeps it, so that a file that cannot be read is told of before anything is sent.
    let read = read(&load.file, load.format)?;
    bar.set_message(format!("loading {} packages", read.report.packages));
    let loaded = match Place::open(&load.place)? {
        Place::Here(index) => put(&index, read, load.replace).await,
        Place::Server(server) => send(&server, &read, load.replace).await,
    };
    bar.finish_and_clear();
    report(output, &loaded?)
}

fn read(file: &Path, format: Option<Format>) -> Result<formats::Read> {
    if file.is_dir() {
        return match format {
            None | Some(Format::CratesIo) => Ok(read_crates_folder(file)?),
            Some(_) => bail!(Usage(format!(
                "{} is a folder; only crates.io's index is one",
                file.display()
            ))),
        };
    }
    let input: Box<dyn Read> = match file.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?),
    };
    let mut beginning = Vec::new();
    let mut input = BufReader::new(input);
    if format.is_none() {
        input.by_ref().take(BEGINNING).read_to_end(&mut beginning)?;
    }
    let format = match format {
        Some(format) => format,
        None => format_of(&beginning)?,
    };
    read_as(format, Cursor::new(beginning).chain(input))
        .with_context(|| format!("{} cannot be loaded", file.display()))
}

fn read_as(format: Format, input: impl BufRead) -> Result<formats::Read> {
    Ok(match format {
        Format::Dump => read_dump(input)?,
        Format::Debian => read_debian(input)?,
        Format::CratesIo => read_crates(input)?,
    })
}

fn format_of(beginning: &[u8]) -> Result<Format> {
    if beginning.starts_with(b"pkgindex dump") {
        return Ok(Format::Dump);
    }
    if beginning.starts_with(b"Package:") {
        return Ok(Format::Debian);
    }
    if beginning.starts_with(b"{") {
        return Ok(Format::CratesIo);
    }
    bail!(Usage(
        "what the file is cannot be seen from its beginning; say it with --format dump, debian or crates-io"
            .to_owned()
    ))
}

async fn put(index: &Index, read: formats::Read, is_replacement: bool) -> Result<Loaded> {
    let (revision, removed) = match is_replacement {
        true => index.replace(&read.lines).await?,
        false => (index.batch(&read.lines).await?, 0),
    };
    Ok(Loaded {
        revision: revision.0,
        packages: read.report.packages,
        edges: read.report.edges,
        removed,
        unresolved: read.report.unresolved,
        unresolved_names: read.report.unresolved_names,
    })
}

/// Sends what was read as a dump, whatever it was: one format on the wire.
async fn send(server: &Server, read: &formats::Read, is_replacement: bool) -> Result<Loaded> {
    let index = Index::open(
        Box::new(pkgindex::store::MemoryStore::new()),
        pkgindex::Options::default(),
    )?;
    index.batch(&read.lines).await?;
    let mut dump = Vec::new();
    write_dump(&*index.snapshot().await?, &mut dump)?;
    let query = [
        ("format", "dump".to_owned()),
        ("replace", is_replacement.to_string()),
    ];
    let request = server.post("/v1/load", &query).body(dump);
    let mut loaded: Loaded = server.answer(request).await?.json().await?;
    loaded.unresolved = read.report.unresolved;
    loaded.unresolved_names.clone_from(&read.report.unresolved_names);
    Ok(loaded)
}

fn report(output: Output, loaded: &Loaded) -> Result<Exit> {
    if output.json {
        output.json(loaded)?;
        return Ok(Exit::Done);
    }
    output::say(&format!(
        "{} packages with {} dependencies, revision {}",
        loaded.packages, loaded.edges, loaded.revision
    ));
    if loaded.removed > 0 {
        output::say(&format!("{} other packages removed", loaded.removed));
    }
    if loaded.unresolved > 0 {
        let names = loaded.unresolved_names.join(", ");
        output::say(&format!(
            "{} dependencies left out, because nothing in the file has their name: {names} ...",
            loaded.unresolved
        ));
    }
    Ok(Exit::Done)
}
