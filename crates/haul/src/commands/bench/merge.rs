use std::path::Path;

use anyhow::{Context, Result};
use sweep::{Merged, OnMachine, Results};

use super::{refuse_existing, write};
use crate::cli::BenchMerge;
use crate::exit::Exit;
use crate::output::{self, Output};

/// Puts the results of several machines together. Those of one machine get the report that they had.
pub(super) fn run(output: Output, asked: &BenchMerge) -> Result<Exit> {
    refuse_existing(&asked.output)?;
    let machines = asked
        .files
        .iter()
        .map(|file| read(file))
        .collect::<Result<Vec<_>>>()?;
    let merged = Merged::new(told_apart(machines, &asked.files));
    let one = merged.machines.first().filter(|_| merged.machines.len() == 1);
    let page = match one.and_then(|machine| machine.results.as_ref()) {
        Some(results) => sweep::html(results),
        None => sweep::merged_html(&merged),
    };
    write(&asked.output, &page)?;
    tell(output, &merged)?;
    output::say(&format!("report: {}", asked.output.display()));
    Ok(Exit::Done)
}

/// The throughput of all machines together, by configuration.
pub(super) fn tell(output: Output, merged: &Merged) -> Result<()> {
    if output.json {
        return output.json(merged);
    }
    for together in &merged.configurations {
        output.line(&format!(
            "{:>9.1} MB/s  {}",
            together.throughput_mb_per_second, together.label
        ))?;
    }
    Ok(())
}

fn read(file: &Path) -> Result<OnMachine> {
    let named = || file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(named)?;
    let results = Results::parse(&text).with_context(named)?;
    let failure = (!results.complete).then(|| "it was stopped before its last run".to_owned());
    Ok(OnMachine {
        name: results.machine.name.clone().unwrap_or_else(named),
        failure,
        results: Some(results),
    })
}

/// Machines with one name get those of their files.
fn told_apart(mut machines: Vec<OnMachine>, files: &[std::path::PathBuf]) -> Vec<OnMachine> {
    let names: Vec<_> = machines.iter().map(|machine| machine.name.clone()).collect();
    for (machine, file) in machines.iter_mut().zip(files) {
        if names.iter().filter(|name| **name == machine.name).count() > 1 {
            machine.name = file.display().to_string();
        }
    }
    machines
}
