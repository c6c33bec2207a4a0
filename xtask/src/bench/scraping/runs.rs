//! A whole run, from the wish to its end, beside the bare program.

use super::super::Bench;
use super::super::measure::{cost_of, median};
use super::server::Server;
use anyhow::Result;
use std::process::Command;

/// A small scraper's.
const ROWS: u64 = 1000;

/// Prints what a run takes beyond its program.
pub(super) fn measure(bench: &Bench) -> Result<()> {
    let rounds = bench.extent.rounds * 10;
    let mut server = Server::start(bench, ROWS)?;
    // The first one also tries what the machine can do.
    server.run()?;
    let log = bench.material.scratch.join("bare.log");
    let (mut bare, mut program, mut all) = (Vec::new(), Vec::new(), Vec::new());
    let (mut bare_cpu_s, mut cpu_s) = (0.0, 0.0);
    for _ in 0..rounds {
        let folder = server.scraper();
        let cost = cost_of(Command::new(folder.join("scraper")).current_dir(&folder), &log)?;
        bare.push(cost.wall_s);
        bare_cpu_s += cost.cpu_s;
        let before = server.running.cpu_s()?;
        let run = server.run()?;
        cpu_s += server.running.cpu_s()? - before;
        program.push(run.program_s);
        all.push(run.all_s);
    }
    let ms = |seconds: f64| format!("{:.1}", seconds * 1000.0);
    println!(
        "\n## A run of a scraper that leaves {ROWS} rows, {rounds} rounds\n\n| | ms | CPU ms |\n|---|---:|---:|"
    );
    println!(
        "| its program, bare | {} | {} |",
        ms(median(bare)),
        ms(bare_cpu_s / rounds as f64)
    );
    println!("| its program, contained | {} | |", ms(median(program)));
    println!(
        "| from the wish to the end | {} | {} |",
        ms(median(all)),
        ms(cpu_s / rounds as f64)
    );
    Ok(())
}
