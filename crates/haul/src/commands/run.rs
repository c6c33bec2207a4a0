use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use archive::Archive;
use model::{Hasher, OwnerName, RunId, ScraperId, ScraperName, Timestamp};
use registry::{
    Asked, Cause, Ending, Keyring, NewScraper, Origin, Outcome, Registry, ScraperSettings, Secret, SecretName,
};
use runlog::{Line, Stream};
use runner::{Leftover, Runner, RunnerDeps, RunnerOptions};
use sandbox::Ability;
use tokio_util::sync::CancellationToken;

use crate::cli::Run;
use crate::commands::scraper;
use crate::config::Config;
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};
use crate::scrapers;
use crate::shutdown;

/// How the names of folders begin that go with the run.
const WORK: &str = "work-";

/// Limits that a person at their own machine can go without.
const ALL: [Ability; 5] = [
    Ability::Memory,
    Ability::Processes,
    Ability::Cpu,
    Ability::Gateway,
    Ability::Seccomp,
];

/// Runs the scraper in a folder as a server would, and leaves its data there.
pub(crate) async fn run(config: &Config, output: Output, run: &Run) -> Result<Exit> {
    let folder = fs::canonicalize(&run.folder)
        .with_context(|| format!("there is no scraper at {}", run.folder.display()))?;
    if let Some(file) = run.record.as_ref().filter(|file| file.exists()) {
        bail!(Usage(format!(
            "{} exists already; choose another file",
            file.display()
        )));
    }
    let interrupted = shutdown::listen()?;
    let state = state_folder(&folder)?;
    let _lock = sweep(&state)?;
    let kept = tempfile::Builder::new().prefix(WORK).tempdir_in(&state)?;
    let runner = open(config, run, &state, kept.path())?;
    if run.replay.is_none() {
        say_lacks(&runner);
    }
    let scraper = add(&runner, run, &folder).await?;
    let stop = CancellationToken::new();
    let worker = tokio::spawn({
        let (runner, stop) = (runner.clone(), stop.clone());
        async move { runner.run(stop).await }
    });
    let ended = tokio::select! {
        ended = follow(&runner, &scraper, output, interrupted) => ended,
        // It ends by itself only where it could not begin.
        failed = worker => return failed?.map(|()| Exit::Failed).map_err(Into::into),
    };
    stop.cancel();
    let (id, ending) = ended?;
    leave(&runner, &scraper, run, id, &ending, &folder).await?;
    summarise(output, &scraper, &ending, &folder)?;
    Ok(exit(ending.outcome))
}

fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Succeeded => Exit::Done,
        Outcome::NoData => Exit::Nothing,
        Outcome::Stopped => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

/// Where built dependencies stay between runs: in the user's cache, one folder for each scraper.
fn state_folder(scraper: &Path) -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    let cache = cache.unwrap_or_else(env::temp_dir);
    let mut hasher = Hasher::new();
    hasher.update(scraper.as_os_str().as_encoded_bytes());
    let name: String = hasher.finish().to_string().chars().take(16).collect();
    let folder = cache.join("haul").join("run").join(name);
    fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made; set XDG_CACHE_HOME", folder.display()))?;
    Ok(folder)
}

/// Removes what a `haul run` that was killed left of this scraper, unless another one is at work on it.
fn sweep(state: &Path) -> Result<Option<fs::File>> {
    let lock = fs::File::create(state.join("lock"))?;
    if lock.try_lock().is_err() {
        return Ok(None);
    }
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(WORK) {
            // Of no use to anybody; it is tried again the next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(Some(lock))
}

fn open(config: &Config, run: &Run, state: &Path, kept: &Path) -> Result<Runner> {
    let archive = format!("file://{}", kept.join("archive").display());
    let deps = RunnerDeps {
        registry: Registry::memory(Keyring::random())?,
        archive: Archive::open(&archive, std::iter::empty::<(String, String)>())?,
    };
    let mut options = RunnerOptions {
        replay: run.replay.as_ref().map(std::path::absolute).transpose()?,
        builds: state.join("builds"),
        ..scrapers::runner_options(config, kept)?
    };
    options.capacity.slots = 1;
    options.capacity.memory_mib = options.capacity.memory_mib.max(limits(run).memory_mib);
    if !run.strict {
        options.accept_lacks = ALL.to_vec();
    }
    Ok(Runner::new(deps, options)?)
}

fn limits(run: &Run) -> registry::Limits {
    let usual = registry::Limits::default();
    registry::Limits {
        memory_mib: run.memory_mib.unwrap_or(usual.memory_mib),
        processes: run.processes.unwrap_or(usual.processes),
        disk_mib: run.disk_mib.unwrap_or(usual.disk_mib),
        run_seconds: run.run_seconds.unwrap_or(usual.run_seconds),
        ..usual
    }
}

fn say_lacks(runner: &Runner) {
    for lack in runner.lacks() {
        let said = match lack.ability {
            Ability::Gateway => "this machine cannot watch whom it talks to, so it has no network".to_owned(),
            ability => format!("this machine cannot limit {}", word(ability)),
        };
        output::say(&format!("{said}: {}", lack.reason));
    }
}

fn word(ability: Ability) -> &'static str {
    match ability {
        Ability::Namespaces => "what it sees",
        Ability::Memory => "memory",
        Ability::Processes => "processes",
        Ability::Cpu => "processor time",
        Ability::Gateway => "whom it talks to",
        Ability::Seccomp => "system calls",
    }
}

/// The scraper, with its last data and the secrets of the environment.
async fn add(runner: &Runner, run: &Run, folder: &Path) -> Result<ScraperId> {
    let id = ScraperId {
        owner: OwnerName::new("local")?,
        name: name_of(folder)?,
    };
    let new = NewScraper {
        id: id.clone(),
        origin: Origin::Folder {
            path: folder.display().to_string(),
        },
        settings: ScraperSettings {
            limits: limits(run),
            ignore_columns: run.ignore_columns.clone(),
            record: run.record.is_some(),
            ..ScraperSettings::default()
        },
    };
    runner
        .registry()
        .add_scraper(new, Timestamp::from(SystemTime::now()))
        .await?;
    for (name, value) in secrets() {
        runner.registry().set_secret(&id, &name, value).await?;
    }
    let data = folder.join("data.sqlite");
    if data.exists() {
        let taken = runner.import_data(&id, &data).await;
        taken.with_context(|| {
            format!(
                "{} cannot be used; move it away to begin with no data",
                data.display()
            )
        })?;
    }
    Ok(id)
}

/// The variables MORPH_*. What cannot be one is passed over with a word: it is there for something else.
fn secrets() -> Vec<(SecretName, Secret)> {
    let named = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
    let ours = named.filter(|(name, _)| name.starts_with("MORPH_"));
    let secret = |(name, value): (String, std::ffi::OsString)| {
        let (Ok(known), Ok(value)) = (SecretName::new(name.as_str()), value.into_string()) else {
            output::say(&format!(
                "{name} is passed over: it is no variable that a scraper can have"
            ));
            return None;
        };
        Some((known, Secret::new(value)))
    };
    ours.filter_map(secret).collect()
}

fn name_of(folder: &Path) -> Result<ScraperName> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let letters = name.chars().map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => letter,
        _ => '-',
    });
    let name: String = letters.take(100).collect();
    let name = name.trim_start_matches(['-', '_']);
    Ok(ScraperName::new(if name.is_empty() { "scraper" } else { name })?)
}

/// Runs it, showing its log, until it is over. Ctrl-C stops it.
async fn follow(
    runner: &Runner,
    scraper: &ScraperId,
    output: Output,
    interrupted: CancellationToken,
) -> Result<(RunId, Ending)> {
    let by = OwnerName::new("local")?;
    let (Asked::Queued(run) | Asked::Already(run)) = runner.ask(scraper, Cause::Person { by }).await?;
    let stopping = async {
        interrupted.cancelled().await;
        output::say("stopping");
        runner.stop_run(run, "you").await
    };
    let following = async {
        scraper::follow(runner, run, |line| show(line, output)).await?;
        let ended = runner.ended(run).await?;
        anyhow::Ok(ended.ending.context("a run that is over has an ending")?)
    };
    tokio::pin!(following);
    tokio::select! {
        ending = &mut following => Ok((run, ending?)),
        stopped = stopping => {
            stopped?;
            Ok((run, following.await?))
        }
    }
}

/// What the program writes goes where it wrote it, unless a program reads the result there.
fn show(line: &Line, output: Output) -> Result<()> {
    match line.stream {
        Stream::Stdout if !output.json => output.line(&line.text)?,
        Stream::Stdout | Stream::Stderr => output::say(&line.text),
        Stream::InternalOut | Stream::InternalErr => output::say(&format!("haul: {}", line.text)),
    }
    Ok(())
}

/// Puts the data, and what was recorded, where they were asked for.
async fn leave(
    runner: &Runner,
    scraper: &ScraperId,
    run: &Run,
    id: RunId,
    ending: &Ending,
    folder: &Path,
) -> Result<()> {
    if ending.version.is_some() {
        let data = runner.data(scraper, None).await?;
        let unfinished = folder.join(".data.sqlite.new");
        fs::copy(&data.path, &unfinished)
            .with_context(|| format!("{} cannot be written", unfinished.display()))?;
        // They were taken in with the old file, and would be taken for those of the new one.
        for name in ["data.sqlite-wal", "data.sqlite-shm", "data.sqlite-journal"] {
            remove(&folder.join(name))?;
        }
        fs::rename(&unfinished, folder.join("data.sqlite"))?;
    }
    if let Some(damaged) = runner.leftover(id, Leftover::Rejected).await? {
        let file = folder.join("data.sqlite.damaged");
        fs::copy(&damaged, &file).with_context(|| format!("{} cannot be written", file.display()))?;
        output::say(&format!("what could not be taken in is in {}", file.display()));
    }
    if let Some(file) = &run.record {
        let cassette = runner.leftover(id, Leftover::Cassette).await?;
        let cassette = cassette.context("nothing was recorded")?;
        fs::copy(&cassette, file).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", file.display()))
        }
        _ => Ok(()),
    }
}

fn summarise(output: Output, scraper: &ScraperId, ending: &Ending, folder: &Path) -> Result<()> {
    if output.json {
        output.json(&serde_json::json!({ "scraper": scraper, "ending": ending }))?;
        return Ok(());
    }
    for (table, rows) in &ending.changes {
        output::say(&format!(
            "table {table}: {} added, {} removed, {} changed, {} unchanged",
            rows.added, rows.removed, rows.changed, rows.unchanged
        ));
    }
    for domain in &ending.domains {
        let bytes = output::bytes(domain.bytes_in);
        output::say(&format!(
            "scrapes {}: {} connections, {bytes}",
            domain.host, domain.connections
        ));
    }
    if ending.version.is_some() {
        output::say(&format!(
            "its data is in {}",
            folder.join("data.sqlite").display()
        ));
    }
    Ok(())
}
