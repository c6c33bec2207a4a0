//! Measuring: `sweep` does it, here is what belongs to the terminal.

mod merge;
mod retrieve;

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cli::Bench;
use crate::exit::{Exit, Usage};
use crate::output::Output;
use crate::retrieval::Environment;

pub(crate) async fn run(output: Output, bench: &Bench, environment: &Environment) -> Result<Exit> {
    match bench {
        Bench::Retrieve(asked) => retrieve::run(output, asked).await,
        Bench::Merge(asked) => merge::run(output, asked),
        Bench::RetrieveOne { reach } => retrieve::retrieve_one(reach, environment),
        Bench::Follow { reach } => retrieve::follow(reach),
    }
}

/// What was measured took long; it is not overwritten by what is measured next.
fn refuse_existing(path: &Path) -> Result<()> {
    if path.exists() {
        bail!(Usage(format!(
            "{} is there already: name another place with --output",
            path.display()
        )));
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}
