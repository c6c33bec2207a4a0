//! How fast a pack answers: `query_bench PACK QUERIES [ROUNDS]`.
//!
//! `QUERIES` is a text file with one query per line. Every query asks for the first ten results with snippets, from one client,
//! and the cache of answers is too small to help. Prints the median, the 99th percentile and queries per second.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use archive::{Archive, Manifest, PackVersion};
use model::{Checksum, Host};
use search::{Library, LibraryOptions, Request};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [pack, queries, rounds @ ..] = arguments.as_slice() else {
        return Err("usage: query_bench PACK QUERIES [ROUNDS]".into());
    };
    let queries = std::fs::read_to_string(queries)?;
    let queries: Vec<&str> = queries.lines().filter(|line| !line.trim().is_empty()).collect();
    let rounds: usize = rounds.first().map_or(Ok(3), |rounds| rounds.parse())?;

    let folder = tempfile::tempdir()?;
    let library = library(folder.path(), Path::new(pack)).await?;
    let cold = Instant::now();
    let first = library
        .search(&Request::new(*queries.first().ok_or("no queries")?))
        .await?;
    println!("cold_ms {:.2} total {}", millis(cold.elapsed()), first.total);

    let mut times = Vec::new();
    let started = Instant::now();
    for query in queries.iter().cycle().take(rounds * queries.len()) {
        let asked = Instant::now();
        library.search(&Request::new(*query)).await?;
        times.push((asked.elapsed(), *query));
    }
    let per_second = times.len() as f64 / started.elapsed().as_secs_f64();
    times.sort();
    let at = |share: usize| {
        times
            .get((times.len() - 1) * share / 100)
            .copied()
            .unwrap_or_default()
    };
    let (p50, p99, worst) = (at(50), at(99), at(100));
    println!(
        "p50_ms {:.3} p99_ms {:.3} queries_per_second {per_second:.0}",
        millis(p50.0),
        millis(p99.0)
    );
    println!("slowest_ms {:.3} {:?}", millis(worst.0), worst.1);
    Ok(())
}

/// A library that has the pack.
async fn library(folder: &Path, pack: &Path) -> Result<Library, Box<dyn Error>> {
    let meta = pack::verify(pack)?;
    let checksum = Checksum::of(&std::fs::read(pack)?);
    let archive = Archive::memory();
    archive.put_pack(&meta.host, &checksum, pack).await?;
    archive.swap_manifest(&manifest(&meta, checksum, pack)?).await?;
    let host: Host = meta.host;
    let options = LibraryOptions {
        max_cached_answers: NonZeroUsize::MIN,
        ..LibraryOptions::new(folder)
    };
    let library = Library::open(archive, options)?;
    library.refresh(&host).await?;
    Ok(library)
}

fn manifest(meta: &pack::Meta, checksum: Checksum, pack: &Path) -> Result<Manifest, Box<dyn Error>> {
    let size = std::fs::metadata(pack)?.len();
    let (pages, passages, built_at) = (meta.pages, meta.passages, meta.built_at);
    let current = PackVersion {
        checksum,
        content: checksum,
        size,
        pages,
        passages,
        built_at,
    };
    Ok(Manifest {
        host: meta.host.clone(),
        sources: Vec::new(),
        number: 1,
        current,
        previous: Vec::new(),
    })
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
