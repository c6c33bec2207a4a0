//! `cargo xtask bench`: Haul beside the programs that people would otherwise use, on real documents, on this machine.
//!
//! What is compared runs in turns, several times, and the median counts. Every table ends in a ratio: how many times
//! better Haul does, or worse.

mod answers;
mod crawling;
mod http;
mod indexing;
mod knowing;
mod material;
mod measure;
mod nginx;
mod packing;
mod retrieving;
mod running;
mod scraping;
mod table;

use crate::run::{cargo, must_succeed, target_directory};
use anyhow::{Result, bail, ensure};
use material::Material;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

const NAMES: [&str; 8] = [
    "load", "pack", "crawl", "serve", "retrieve", "pkgindex", "crawldb", "runner",
];

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    /// How often each program runs; the median counts.
    rounds: usize,
    /// How many queries are asked.
    queries: usize,
}

const FULL: Extent = Extent {
    rounds: 5,
    queries: 1000,
};
const QUICK: Extent = Extent {
    rounds: 1,
    queries: 100,
};

/// What the end-to-end measurements work with.
struct Bench {
    haul: PathBuf,
    material: Material,
    extent: Extent,
}

impl Bench {
    /// Rounds of what takes seconds: more of them, so that the median is steady; one where it must be quick.
    fn rounds_of_seconds(&self) -> usize {
        match self.extent.rounds {
            1 => 1,
            rounds => rounds.max(7),
        }
    }
}

/// Runs the measurements named in `arguments`, or all.
pub(crate) fn command(arguments: &[String]) -> Result<ExitCode> {
    let (flags, names): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|word| word.starts_with("--"));
    let quick = match flags.as_slice() {
        [] => false,
        [flag] if *flag == "--quick" => true,
        _ => bail!("the only flag is --quick"),
    };
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!(
            "there is no measurement {unknown}; there are {}",
            NAMES.join(", ")
        );
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| *wanted == name);

    let target = target_directory()?;
    must_succeed(cargo().args(["build", "--release", "--package", "haul"]))?;
    let material = Material::fetch(&target.join("bench"))?;
    let extent = if quick { QUICK } else { FULL };
    let bench = Bench {
        haul: target.join("release/haul"),
        material,
        extent,
    };
    if wanted("load") {
        example(
            &["pack", "pack_stage"],
            &[
                bench.material.all.display().to_string(),
                extent.rounds.to_string(),
            ],
        )?;
    }
    if wanted("pack") {
        packing::compare(&bench)?;
    }
    if wanted("crawl") {
        crawling::compare(&bench)?;
    }
    if wanted("serve") {
        answers::compare(&bench)?;
    }
    if wanted("retrieve") {
        retrieving::compare(&bench)?;
    }
    if wanted("pkgindex") {
        indexing::compare(&bench)?;
    }
    if wanted("crawldb") {
        knowing::measure(&bench)?;
    }
    if wanted("runner") {
        scraping::compare(&bench)?;
    }
    println!("\nbench: done");
    Ok(ExitCode::SUCCESS)
}

fn example(name: &[&str; 2], arguments: &[String]) -> Result<()> {
    println!("\n## {} ({})", name[1], name[0]);
    must_succeed(run_example(name).args(arguments))
}

/// What the example writes; what it says goes to the terminal.
fn example_output(name: &[&str; 2], arguments: &[&str]) -> Result<String> {
    let output = run_example(name)
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the example {} failed", name[1]);
    Ok(String::from_utf8(output.stdout)?)
}

fn run_example(name: &[&str; 2]) -> Command {
    let mut command = cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        name[0],
        "--example",
        name[1],
        "--",
    ]);
    command
}
