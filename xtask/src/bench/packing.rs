//! A folder of HTML to something searchable: `haul pack` and Pagefind.

use super::Bench;
use super::measure::{Cost, cost_of, median_cost};
use super::table::{self, Row};
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Measures both on the Python and the SQLite documentation.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    for (name, folder) in [
        ("python3.11-doc", &bench.material.python),
        ("sqlite3-doc", &bench.material.sqlite),
    ] {
        compare_on(bench, name, folder)?;
    }
    Ok(())
}

fn compare_on(bench: &Bench, name: &str, documents: &Path) -> Result<()> {
    let scratch = &bench.material.scratch;
    let (pack, index, log) = (
        scratch.join("folder.sqlite"),
        scratch.join("pagefind"),
        scratch.join("pack.log"),
    );
    let (mut ours, mut theirs) = (Vec::<Cost>::new(), Vec::<Cost>::new());
    for _ in 0..bench.extent.rounds {
        remove(&pack)?;
        ours.push(cost_of(
            Command::new(&bench.haul)
                .arg("pack")
                .arg(documents)
                .arg("-o")
                .arg(&pack),
            &log,
        )?);
        remove(&index)?;
        let mut pagefind = Command::new(bench.material.peers.join("python"));
        pagefind
            .args(["-m", "pagefind", "--quiet", "--site"])
            .arg(documents)
            .arg("--output-path")
            .arg(&index);
        theirs.push(cost_of(&mut pagefind, &log)?);
    }
    let (haul, pagefind) = (median_cost(&ours), median_cost(&theirs));
    let pages = pages_in(documents)? as f64;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let rows = [
        Row::more("pages/s", pages / haul.wall_s, pages / pagefind.wall_s),
        Row::less("wall, s", haul.wall_s, pagefind.wall_s),
        Row::less("CPU, s", haul.cpu_s, pagefind.cpu_s),
        Row::less("memory, MiB", haul.memory_mib, pagefind.memory_mib),
        Row::less("output, MiB", mib(size_of(&pack)?), mib(size_of(&index)?)),
    ];
    table::print(
        &format!("Pack a folder: {name}, {pages} HTML files"),
        "pagefind",
        &rows,
    );
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    if path.is_dir() {
        fs::remove_dir_all(path)?;
    } else if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Bytes of a file, or of all files below a folder.
fn size_of(path: &Path) -> Result<u64> {
    if !path.is_dir() {
        return Ok(fs::metadata(path)?.len());
    }
    let entries = fs::read_dir(path)?;
    entries.map(|entry| size_of(&entry?.path())).sum()
}

fn pages_in(folder: &Path) -> Result<usize> {
    let mut pages = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            pages += pages_in(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            pages += 1;
        }
    }
    Ok(pages)
}
