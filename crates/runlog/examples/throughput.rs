//! What a log costs: lines a second, processor time and memory, with no, one and a hundred followers.
//!
//! `cargo run --release -p runlog --example throughput [MILLIONS OF LINES]`
#![expect(clippy::print_stdout, reason = "it says what it measured")]

use std::error::Error;
use std::time::{Instant, SystemTime};

use runlog::{Follow, LogError, LogLimits, Logs, Stream};

/// What a supervisor reads from a pipe at a time.
const PIECE_BYTES: usize = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let millions: usize = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let lines = millions * 1_000_000;
    println!("| | seconds | lines/s | CPU ns/line | peak MiB |\n|---|---:|---:|---:|---:|");
    let usual = LogLimits::default();
    let without = LogLimits {
        max_lines: u64::MAX,
        max_bytes: u64::MAX,
        ..usual
    };
    measure("limits of a run, no follower", lines, usual, &[], 0).await?;
    measure("limits of a run, 100 followers", lines, usual, &[], 100).await?;
    measure("no limits, no follower", lines, without, &[], 0).await?;
    measure("no limits, ten secrets", lines, without, &SECRETS, 0).await?;
    measure("no limits, 1 follower", lines, without, &[], 1).await?;
    measure("no limits, 100 followers", lines / 10, without, &[], 100).await
}

const SECRETS: [&str; 10] = [
    "correct horse",
    "battery staple",
    "hunter2 & more",
    "swordfish",
    "open sesame",
    "0123456789abcdef",
    "tr0ub4dor&3",
    "letmein!",
    "p4ssw0rd",
    "xyzzy-plugh",
];

async fn measure(
    what: &str,
    lines: usize,
    limits: LogLimits,
    secrets: &[&str],
    followers: usize,
) -> Result<(), Box<dyn Error>> {
    // The kernel counts the most memory anew from here.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let folder = tempfile::tempdir()?;
    let writer = Logs::open(folder.path())?.begin("run", limits, secrets)?;
    let followers: Vec<_> = (0..followers)
        .map(|_| tokio::spawn(count(writer.log().follow(0))))
        .collect();
    let (begun, cpu) = (Instant::now(), cpu_seconds()?);
    let summary = tokio::task::spawn_blocking(move || {
        let piece = b"2026-01-01 saved record 4711 of https://example.gov/forms\n".repeat(PIECE_BYTES / 58);
        let mut written = 0;
        while written < lines {
            writer.write(Stream::Stdout, &piece, SystemTime::now())?;
            written += PIECE_BYTES / 58;
        }
        let seconds = begun.elapsed().as_secs_f64();
        writer.finish(SystemTime::now()).map(|summary| (summary, seconds))
    });
    let (summary, seconds) = summary.await??;
    for follower in followers {
        assert_eq!(follower.await??, summary.lines, "a follower missed lines");
    }
    let total = (summary.lines + summary.dropped_lines) as f64;
    let cpu = (cpu_seconds()? - cpu) * 1e9 / total;
    println!(
        "| {what} | {seconds:.2} | {:.0} | {cpu:.0} | {} |",
        total / seconds,
        peak_mib()?
    );
    Ok(())
}

async fn count(mut follow: Follow) -> Result<u64, LogError> {
    let mut count = 0;
    while let Some(lines) = follow.next().await? {
        count += lines.len() as u64;
    }
    Ok(count)
}

/// Of this process, by `/proc`: user and system, in hundredths of a second.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let behind_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Result<Vec<f64>, _> = behind_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect();
    Ok(ticks?.iter().sum::<f64>() / 100.0)
}

/// The most memory of this process in this measurement.
fn peak_mib() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("no VmHWM")?;
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024)
}
