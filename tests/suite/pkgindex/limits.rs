//! Many connections, long lines and much coming and going cost a bounded amount of memory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::{Bench, Haul, PackageIndex, Talk};

use super::size;

const MIB: u64 = 1 << 20;

pub(crate) fn add(bench: &mut Bench) {
    let connections = connections();
    bench.test(
        format!("pkgindex: {connections} idle connections"),
        &[],
        move || idle(connections),
    );
    bench.test("pkgindex: a line without end", &[], long_line);
    bench.test("pkgindex: names come and go", &[], churn);
}

/// Ten thousand, or fewer where this process may not have so many.
fn connections() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let most = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    // The other tests need some, too.
    most.unwrap_or(u64::MAX).saturating_sub(1000).min(10_000)
}

/// What the server has in memory, in bytes.
fn resident(server: &PackageIndex) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", server.process().id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?
        .parse()?;
    Ok(kib * 1024)
}

fn ensure_grown_less(server: &PackageIndex, before: u64, most: u64) -> Result<()> {
    let grown = resident(server)?.saturating_sub(before);
    ensure!(grown < most, "the server grew by {} MiB", grown / MIB);
    Ok(())
}

fn idle(connections: u64) -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "memory")?;
    server.tell("INDEX|a|\n")?;
    let before = resident(&server)?;
    let mut talks = Vec::new();
    for _ in 0..connections {
        talks.push(server.connect()?);
    }
    for round in 0..2 {
        for talk in &mut talks {
            talk.send(b"QUERY|a|\n")?;
        }
        for talk in &mut talks {
            ensure!(talk.answer()? == "OK", "round {round}");
        }
        ensure_grown_less(&server, before, 64 * MIB)?;
    }
    ensure!(server.tell("QUERY|a|\n")? == ["OK"]);
    Ok(())
}

/// It comes piece by piece, so that this process does not need much memory either.
fn long_line() -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "memory")?;
    let before = resident(&server)?;
    let mut talk = server.connect()?;
    talk.send(b"INDEX|a|\nINDEX|long|")?;
    let piece = b"a,".repeat(1 << 19);
    let pieces = size("PKGINDEX_LINE_MIB", 64)?;
    for _ in 0..pieces {
        talk.send(&piece)?;
    }
    ensure_grown_less(&server, before, 16 * MIB)?;
    talk.send(b"a\nQUERY|a|\nQUERY|long|\n")?;
    let answers: Vec<_> = (0..4).map(|_| talk.answer()).collect::<Result<_>>()?;
    ensure!(answers == ["OK", "ERROR", "OK", "FAIL"], "{answers:?}");
    ensure_grown_less(&server, before, 16 * MIB)
}

const LINES_AT_ONCE: u64 = 1000;

/// Names that nobody has had before, each for a moment; long ones, so that the log has to be cleared up on the way.
fn churn() -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "log:index")?;
    let names = size("PKGINDEX_CHURN", 200_000)?;
    let folder = haul.folder().join("index");
    // The first quarter shows what it needs once and for all.
    come_and_go(&server, 0..names / 4)?;
    let before = resident(&server)?;
    come_and_go(&server, names / 4..names)?;
    ensure_grown_less(&server, before, 64 * MIB)?;
    ensure!(server.lines()?.is_empty(), "something stays");
    let kept = folder_size(&folder)?;
    ensure!(kept < 80 * MIB, "the folder has {} MiB", kept / MIB);
    let revision = server.ask("/health")?["committed"].clone();
    ensure!(revision == names * 2, "revision {revision}");
    server.stop()?;
    haul.expect(0, &["pkgindex", "check", "--store", "log:index"])?;
    Ok(())
}

fn come_and_go(server: &PackageIndex, names: std::ops::Range<u64>) -> Result<()> {
    let address = server.commands();
    let mut talk = Talk::open(address)?;
    let mut next = names.start;
    while next < names.end {
        let end = (next + LINES_AT_ONCE).min(names.end);
        let lines: String = (next..end)
            .map(|name| format!("INDEX|{name:0250}|\nREMOVE|{name:0250}|\n"))
            .collect();
        let answers = talk.tell(&lines)?;
        ensure!(answers.iter().all(|answer| answer == "OK"), "{answers:?}");
        next = end;
    }
    Ok(())
}

fn folder_size(folder: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(folder)? {
        size += entry?.metadata()?.len();
    }
    Ok(size)
}
