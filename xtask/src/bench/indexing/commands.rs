//! QUERY beside GET and INDEX beside SET, asked by the same client (`benches/load`).

use super::servers::{Durability, Program, Server, require_redis};
use crate::bench::Bench;
use crate::bench::measure::median;
use crate::run::{cargo, must_succeed, output_of, target_directory};
use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::Path;
use std::process::Command;

/// How long a server is asked in a round, in seconds.
const ROUND_S: &str = "2";

/// The tables.
const COMPARISONS: [Comparison; 4] = [
    Comparison {
        title: "QUERY and GET, nothing kept",
        ask: "read",
        durability: Durability::Off,
    },
    Comparison {
        title: "QUERY and GET, every change kept before its answer",
        ask: "read",
        durability: Durability::Always,
    },
    Comparison {
        title: "INDEX and SET, nothing kept",
        ask: "write",
        durability: Durability::Off,
    },
    Comparison {
        title: "INDEX and SET, every change kept before its answer",
        ask: "write",
        durability: Durability::Always,
    },
];

/// The rows of each.
const CROWDS: [Crowd; 4] = [
    Crowd {
        connections: 1,
        pipeline: 1,
    },
    Crowd {
        connections: 50,
        pipeline: 1,
    },
    Crowd {
        connections: 50,
        pipeline: 16,
    },
    Crowd {
        connections: 50,
        pipeline: 64,
    },
];

struct Comparison {
    title: &'static str,
    ask: &'static str,
    durability: Durability,
}

#[derive(Clone, Copy)]
struct Crowd {
    connections: u16,
    pipeline: u16,
}

/// What the client says of a round.
#[derive(Clone, Copy, Deserialize)]
struct Report {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    p999_us: f64,
    /// For a million requests.
    server_cpu_s: f64,
}

/// The rounds of both.
#[derive(Default)]
struct Rounds {
    haul: Vec<Report>,
    redis: Vec<Report>,
}

/// Measures all tables.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    require_redis()?;
    must_succeed(cargo().args(["build", "--release", "--package", "load"]))?;
    let client = target_directory()?.join("release/load");
    for comparison in &COMPARISONS {
        println!("\n## {}\n", comparison.title);
        println!(
            "| connections x pipeline | | /s | p50, us | p99, us | p99.9, us | server CPU s per million | rate, x Redis |"
        );
        println!("|---|---|---:|---:|---:|---:|---:|---:|");
        for crowd in CROWDS {
            print(crowd, &rounds(bench, comparison, crowd, &client)?);
        }
    }
    Ok(())
}

/// Both in turns, each time a fresh server, so that nothing is left of the round before.
fn rounds(bench: &Bench, comparison: &Comparison, crowd: Crowd, client: &Path) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    for _ in 0..bench.rounds_of_seconds() {
        let round = |program| round(bench, comparison, crowd, client, program);
        rounds.haul.push(round(Program::Haul)?);
        rounds.redis.push(round(Program::Redis)?);
    }
    Ok(rounds)
}

fn round(
    bench: &Bench,
    comparison: &Comparison,
    crowd: Crowd,
    client: &Path,
    program: Program,
) -> Result<Report> {
    let server = Server::start(program, comparison.durability, bench)?;
    let protocol = match program {
        Program::Haul => "haul",
        Program::Redis => "redis",
    };
    let mut command = Command::new(client);
    command
        .args([
            "--protocol",
            protocol,
            "--ask",
            comparison.ask,
            "--seconds",
            ROUND_S,
        ])
        .args(["--address", &format!("127.0.0.1:{}", server.port)])
        .args(["--connections", &crowd.connections.to_string()])
        .args(["--pipeline", &crowd.pipeline.to_string()])
        .args(["--server-pid", &server.process.pid().to_string()]);
    let report = output_of(&mut command).with_context(|| format!("{}: {protocol}", comparison.title))?;
    Ok(serde_json::from_str(&report)?)
}

fn print(crowd: Crowd, rounds: &Rounds) {
    let (haul, redis) = (middle(&rounds.haul), middle(&rounds.redis));
    let ratio = format!("{:.2}", haul.per_second / redis.per_second);
    for (name, report, ratio) in [("haul", haul, ratio.as_str()), ("redis", redis, "1")] {
        println!(
            "| {} x {} | {name} | {:.0} | {:.0} | {:.0} | {:.0} | {:.2} | {ratio} |",
            crowd.connections,
            crowd.pipeline,
            report.per_second,
            report.p50_us,
            report.p99_us,
            report.p999_us,
            report.server_cpu_s,
        );
    }
}

/// The median of each figure.
fn middle(reports: &[Report]) -> Report {
    let of = |figure: fn(&Report) -> f64| median(reports.iter().map(figure).collect());
    Report {
        per_second: of(|report| report.per_second),
        p50_us: of(|report| report.p50_us),
        p99_us: of(|report| report.p99_us),
        p999_us: of(|report| report.p999_us),
        server_cpu_s: of(|report| report.server_cpu_s),
    }
}
