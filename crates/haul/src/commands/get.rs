use std::fs::File;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use retrieve::hooks::{
    CacheCheck, Decompress, DecompressBy, DecompressLimits, EventLog, Exec, Sha256Manifest, Undated,
};
use retrieve::{Hooks, Report, Retriever, Saving};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::commands::cat;
use crate::exit::{Exit, Usage};
use crate::output::{self, Lines, Output};
use crate::progress::RetrievalBar;
use crate::retrieval::{self, Asked, Destination, Ended, Environment, Selection, StopWhenFull, Summary};
use crate::shutdown;

/// Events that wait for the file of events.
const EVENTS: usize = 1 << 14;
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// Retrieves objects into files.
pub(crate) async fn run(output: Output, get: &cli::Get, environment: &Environment) -> Result<Exit> {
    let (addresses, destination) = words(get)?;
    let selection = Selection::new(&get.choice)?;
    let commands = commands(get)?;
    let asked = Asked::new(addresses, get.manifest.as_deref(), &get.reach, environment)?;
    let options = retrieve::Options {
        resume: !get.no_resume,
        order: retrieval::order(get.order),
        ..retrieval::options(&get.effort)
    };
    let retriever = Retriever::new(options).map_err(|error| retrieval::refused(&error))?;
    if destination == "-" && !get.dry_run {
        refuse_on_stdout(output, get)?;
        let hooks = add_common(Hooks::default().stateful(selection), get)?;
        return cat::write(&retriever, &asked, with_sums_of_streams(hooks, get)).await;
    }
    let (destination, asked) = Destination::decide(destination, addresses, asked, &retriever).await?;
    if get.dry_run {
        return dry_run(output, get, &retriever, &asked, &destination).await;
    }
    destination.check()?;
    let hooks = add_saving(Hooks::default().stateful(selection), get, commands, &destination)?;
    let stop = shutdown::listen()?;
    let saving = match &destination {
        Destination::Folder(folder) => retriever.save(asked.request(), folder, hooks),
        Destination::File(file) => retriever.save_as(asked.request(), file, hooks),
    };
    let saving = saving.map_err(|error| retrieval::refused(&error))?;
    let report = follow(&saving, &stop).await;
    let summary = Summary {
        report: &report,
        ended: if stop.is_cancelled() {
            Ended::Interrupted
        } else {
            Ended::ByItself
        },
        skips_what_is_there: get.cache,
    };
    summary.lines().iter().for_each(|line| output::say(line));
    if output.json {
        output.json(&summary.json())?;
    }
    Ok(summary.exit())
}

/// The addresses and the destination.
fn words(get: &cli::Get) -> Result<(&[String], &str)> {
    match get.words.split_last() {
        Some((destination, addresses)) if !addresses.is_empty() || get.manifest.is_some() => {
            Ok((addresses, destination))
        }
        _ => bail!(Usage(
            "the destination is missing: haul get ADDRESS DEST, with a folder, a file or - as DEST"
                .to_owned()
        )),
    }
}

fn refuse_on_stdout(output: Output, get: &cli::Get) -> Result<()> {
    if output.json {
        bail!(Usage(
            "--json and the files would both go to stdout: save the files, or leave --json out".to_owned()
        ));
    }
    if get.cache || !get.hooks.is_empty() {
        bail!(Usage(
            "--cache and --hook need files: name a folder instead of -".to_owned()
        ));
    }
    Ok(())
}

/// What a run has, wherever its bytes go.
fn add_common(mut hooks: Hooks, get: &cli::Get) -> Result<Hooks> {
    if get.decompress {
        hooks = hooks.stateful(Decompress::new(DecompressBy::Suffix, DecompressLimits::default()));
    }
    if let Some(path) = &get.events {
        let file = File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
        hooks = hooks.observe(EVENTS, EventLog::new(file));
    }
    Ok(hooks)
}

fn with_sums_of_streams(hooks: Hooks, get: &cli::Get) -> Hooks {
    match &get.sha256 {
        Some(path) => Sha256Manifest::of_streams(path).register(hooks),
        None => hooks,
    }
}

/// The commands that are asked about every file.
fn commands(get: &cli::Get) -> Result<Vec<Exec>> {
    let command = |hook: &String| {
        let Some(command) = hook.strip_prefix("exec:") else {
            bail!(Usage(format!(
                "{hook:?} is no hook: write exec:COMMAND, as exec:'unzip -tq {{}}'"
            )));
        };
        Exec::new(command).map_err(|error| retrieval::refused(&error))
    };
    get.hooks.iter().map(command).collect()
}

fn add_saving(hooks: Hooks, get: &cli::Get, commands: Vec<Exec>, destination: &Destination) -> Result<Hooks> {
    let mut hooks = add_common(hooks.stateful(StopWhenFull::default()), get)?;
    if get.cache {
        hooks = hooks.stateful(cache_check(destination));
    }
    hooks = commands.into_iter().fold(hooks, Hooks::functional);
    Ok(match &get.sha256 {
        Some(path) => Sha256Manifest::of_saved_files(path).register(hooks),
        None => hooks,
    })
}

fn cache_check(destination: &Destination) -> CacheCheck {
    CacheCheck::new(destination.folder(), Undated::Fetch)
}

/// Waits for the end and shows how far it is; Ctrl-C ends it in order.
async fn follow(saving: &Saving, stop: &CancellationToken) -> std::sync::Arc<Report> {
    let mut bar = RetrievalBar::new();
    let mut tick = tokio::time::interval(SHOW_EVERY);
    let finished = saving.finished();
    tokio::pin!(finished);
    let report = loop {
        tokio::select! {
            report = &mut finished => break report,
            () = stop.cancelled(), if !saving.control().is_cancelled() => saving.control().cancel(),
            _ = tick.tick() => bar.show(&saving.stats()),
        }
    };
    bar.end();
    report
}

/// Says what would be fetched.
async fn dry_run(
    output: Output,
    get: &cli::Get,
    retriever: &Retriever,
    asked: &Asked,
    destination: &Destination,
) -> Result<Exit> {
    let selection = Selection::new(&get.choice)?;
    let mut cache = get.cache.then(|| cache_check(destination));
    let mut lines = Lines::to_stdout();
    let (mut files, mut bytes, mut unknown) = (0_u64, 0_u64, 0_u64);
    let mut entries = retriever.list(asked.request());
    while let Some(entry) = entries.next_entry().await {
        let entry = entry.map_err(|error| retrieval::refused(&error))?;
        if !selection.takes(&entry.name)
            || cache
                .as_mut()
                .is_some_and(|cache| retrieval::is_there(cache, &entry))
        {
            continue;
        }
        files += 1;
        bytes += entry.size.unwrap_or(0);
        unknown += u64::from(entry.size.is_none());
        let size = entry.size.map_or_else(|| "?".to_owned(), |size| size.to_string());
        let line = match output.json {
            true => json!({ "location": entry.location.to_string(), "name": entry.name, "size": entry.size })
                .to_string(),
            false => format!("{size:>14}  {}", entry.location),
        };
        if !lines.write(&line)? {
            return Ok(Exit::Done);
        }
    }
    lines.flush()?;
    let more = if unknown > 0 {
        format!(" and {unknown} of unknown size")
    } else {
        String::new()
    };
    let (count, bytes) = (indicatif::HumanCount(files), indicatif::DecimalBytes(bytes));
    output::say(&format!(
        "would fetch {count} files, {bytes}{more}, to {}",
        destination.path().display()
    ));
    Ok(if files == 0 { Exit::Nothing } else { Exit::Done })
}
