use std::ops::ControlFlow;
use std::path::Path;

use anyhow::{Context, Result, bail};
use retrieve::{Location, Scheme};
use sweep::{Axes, Merged, OnMachine, Plan, Progress, Results, Ssh, Trial, Workplace};
use tokio_util::sync::CancellationToken;

use super::{merge, refuse_existing, write};
use crate::cli::{BenchRetrieve, Reach, Sink};
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};
use crate::progress;
use crate::retrieval::{self, Environment};
use crate::shutdown;

/// Measures every combination that was asked for, here or on other machines, and writes the report.
pub(super) async fn run(output: Output, asked: &BenchRetrieve) -> Result<Exit> {
    let plan = plan(asked)?;
    let (results, report) = (
        asked.output.join("results.json"),
        asked.output.join("report.html"),
    );
    refuse_existing(&results)?;
    let stop = shutdown::listen()?;
    let exit = if asked.machines.on.is_empty() {
        let measured = measure_here(asked, plan, stop.clone()).await?;
        write(&results, &serde_json::to_string(&measured)?)?;
        write(&report, &sweep::html(&measured))?;
        tell(output, &measured)?;
        exit_of(measured.has_failures() || measured.done() == 0, &stop)
    } else {
        let merged = measure_there(asked, plan, stop.clone()).await?;
        write(&results, &serde_json::to_string(&merged)?)?;
        write(&report, &sweep::merged_html(&merged))?;
        keep_each(&asked.output, &merged)?;
        merge::tell(output, &merged)?;
        let failed: Vec<_> = merged
            .failed()
            .map(|(name, why)| format!("{name}: {why}"))
            .collect();
        failed.iter().for_each(|failure| output::say(failure));
        exit_of(!failed.is_empty() || has_failures(&merged), &stop)
    };
    output::say(&format!("report: {}", report.display()));
    Ok(exit)
}

fn exit_of(has_failed: bool, stop: &CancellationToken) -> Exit {
    match has_failed {
        _ if stop.is_cancelled() => Exit::Interrupted,
        true => Exit::Failed,
        false => Exit::Done,
    }
}

fn has_failures(merged: &Merged) -> bool {
    merged
        .machines
        .iter()
        .filter_map(|machine| machine.results.as_ref())
        .any(Results::has_failures)
}

fn plan(asked: &BenchRetrieve) -> Result<Plan> {
    let (matrix, rounds) = (&asked.matrix, &asked.rounds);
    let axes = Axes {
        chunks: matrix
            .chunk
            .iter()
            .map(|chunk| chunk.0.map(|size| size.0))
            .collect(),
        connections: matrix
            .connections
            .iter()
            .map(|value| value.0.map(|count| count.0))
            .collect(),
        files: matrix
            .files
            .iter()
            .map(|value| value.0.map(|count| count.0))
            .collect(),
        sinks: matrix.sink.iter().copied().map(sink).collect(),
        memories: matrix.memory.clone(),
    };
    let is_here = asked.machines.on.is_empty();
    let plan = Plan {
        addresses: asked.addresses.clone(),
        configurations: axes.configurations(),
        rounds: rounds.rounds,
        warm_up: !rounds.no_warm_up,
        limit_ms: u64::try_from(rounds.limit.as_millis()).unwrap_or(u64::MAX),
        seed: rounds.seed,
        scratch: asked
            .scratch
            .clone()
            .or_else(|| is_here.then(|| asked.output.clone())),
    };
    plan.check().map_err(|error| Usage(error.to_string()))?;
    Ok(plan)
}

fn sink(sink: Sink) -> sweep::Sink {
    match sink {
        Sink::Null => sweep::Sink::Null,
        Sink::File => sweep::Sink::File,
        Sink::Memory => sweep::Sink::Memory,
    }
}

async fn measure_here(asked: &BenchRetrieve, plan: Plan, stop: CancellationToken) -> Result<Results> {
    let profiles = asked.output.join("profiles");
    std::fs::create_dir_all(&profiles).with_context(|| format!("{} cannot be made", profiles.display()))?;
    let workplace = Workplace {
        profiles: Some(profiles),
        ..workplace(&asked.reach)?
    };
    let work = move || {
        watched(plan.runs(), &stop, |watch| {
            sweep::conduct(&plan, &workplace, watch)
        })
    };
    Ok(tokio::task::spawn_blocking(work).await?)
}

async fn measure_there(asked: &BenchRetrieve, plan: Plan, stop: CancellationToken) -> Result<Merged> {
    std::fs::create_dir_all(&asked.output)
        .with_context(|| format!("{} cannot be made", asked.output.display()))?;
    let ssh = ssh(asked)?;
    let runs = plan.runs() * ssh.machines.len();
    let work = move || watched(runs, &stop, |watch| sweep::lead(&plan, &ssh, watch));
    Ok(Merged::new(tokio::task::spawn_blocking(work).await?))
}

/// With a bar, until it is done or somebody stops it.
fn watched<T>(runs: usize, stop: &CancellationToken, work: impl FnOnce(sweep::Watch<'_>) -> T) -> T {
    let bar = progress::of_runs(runs as u64);
    let ended = work(&mut |progress: &Progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(progress.label.clone());
        if stop.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    ended
}

fn ssh(asked: &BenchRetrieve) -> Result<Ssh> {
    let machines = &asked.machines;
    if let Some(name) = machines
        .on
        .iter()
        .find(|name| name.is_empty() || name.starts_with('-'))
    {
        bail!(Usage(format!(
            "{name:?} is no machine: give names as ssh knows them, separated by commas"
        )));
    }
    Ok(Ssh {
        program: machines.ssh.clone(),
        remote_program: machines.remote_program.clone(),
        remote_arguments: bench_words("follow", &asked.reach),
        machines: machines.on.clone(),
    })
}

fn bench_words(command: &str, reach: &Reach) -> Vec<String> {
    let words = ["bench".to_owned(), command.to_owned()];
    words.into_iter().chain(reach.words()).collect()
}

fn workplace(reach: &Reach) -> Result<Workplace> {
    Ok(Workplace {
        program: std::env::current_exe().context("the system does not say where haul is")?,
        arguments: bench_words("retrieve-one", reach),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profiles: None,
        scratch: std::env::temp_dir(),
    })
}

/// One file for each machine, which `haul bench merge` reads.
fn keep_each(folder: &Path, merged: &Merged) -> Result<()> {
    let told = merged
        .machines
        .iter()
        .filter_map(|OnMachine { results, .. }| results.as_ref());
    for (number, results) in told.enumerate() {
        write(
            &folder.join(format!("machine-{}.json", number + 1)),
            &serde_json::to_string(results)?,
        )?;
    }
    Ok(())
}

fn tell(output: Output, results: &Results) -> Result<()> {
    if output.json {
        return output.json(results);
    }
    for measured in &results.configurations {
        let (summary, label) = (&measured.summary, &measured.label);
        let Some(throughput) = summary.throughput_mb_per_second else {
            output.line(&format!("{:>9} MB/s  {label}", "-"))?;
            continue;
        };
        let cpu = summary
            .cpu_seconds_per_gb
            .map(|cpu| format!(", {:.2} CPU-s/GB", cpu.median));
        let memory = summary
            .peak_rss_bytes
            .map(|rss| format!(", {}", output::bytes(rss.median as u64)));
        let ratio = measured
            .versus_first
            .map(|ratio| format!(", {:.2} times the first", ratio.median));
        let rest = [cpu, memory, ratio].into_iter().flatten().collect::<String>();
        output.line(&format!("{:>9.1} MB/s  {label}{rest}", throughput.median))?;
    }
    Ok(())
}

/// One run, for the process that started this one.
pub(super) fn retrieve_one(reach: &Reach, environment: &Environment) -> Result<Exit> {
    let stores = |trial: &Trial| {
        let is_s3 =
            |address: &String| Location::parse(address).is_ok_and(|location| location.scheme() == Scheme::S3);
        let stores = retrieval::store_options(reach, environment, trial.addresses.iter().any(is_s3));
        stores
            .map(|stores| stores.into_iter().collect())
            .map_err(|error| format!("{error:#}"))
    };
    // Whoever started this is gone, and nobody else wants the figures.
    let abandoned = || std::process::exit(Exit::Interrupted as i32);
    sweep::serve_trial(std::io::stdin(), std::io::stdout().lock(), stores, abandoned)?;
    Ok(Exit::Done)
}

/// A sweep, for a leader on another machine.
pub(super) fn follow(reach: &Reach) -> Result<Exit> {
    sweep::follow(std::io::stdin(), std::io::stdout().lock(), &workplace(reach)?)?;
    Ok(Exit::Done)
}
