//! Scrapers of a server. The registry is a file that several processes may use, so these commands work beside whatever serves it.

mod belongings;
mod morph;
mod settings;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::{OwnerName, RunId, ScraperId, Timestamp};
use registry::{Asked, Cause, NewScraper, Origin, Run, RunFilter, ScraperFilter, ScraperSettings};
use runlog::{Line, Stream};
use runner::Runner;

use crate::assembly;
use crate::cli::{Scraper, Settings};
use crate::commands::account::{now, registry};
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::{Exit, Usage};
use crate::output::{self, Output};
use crate::scrapers::{self, Part};

/// Does what is asked with scrapers.
pub(crate) async fn run(config: &Config, output: Output, action: Scraper) -> Result<Exit> {
    match action {
        Scraper::Add {
            scraper,
            from,
            reference,
            settings,
        } => add(config, scraper, &from, reference, &settings).await,
        Scraper::Set {
            scraper,
            from,
            reference,
            settings,
        } => set(config, &scraper, from.as_deref(), reference, &settings).await,
        Scraper::List => list(config, output).await,
        Scraper::Show { scraper } => show(config, output, &scraper).await,
        Scraper::Run { scraper } => ask(config, output, &scraper).await,
        Scraper::Runs { scraper, limit } => runs(config, output, scraper, limit).await,
        Scraper::Stop { run } => stop(config, run).await,
        Scraper::Log { run } => log(config, output, run).await,
        Scraper::Pause { scraper, why } => pause(config, &scraper, Some(why)).await,
        Scraper::Resume { scraper } => pause(config, &scraper, None).await,
        Scraper::Data {
            scraper,
            output: file,
            version,
        } => data(config, &scraper, &file, version).await,
        Scraper::Versions { scraper } => versions(config, output, &scraper).await,
        Scraper::Restore { scraper, version } => {
            let version = runner(config)?.restore(&scraper, version).await?;
            output::say(&format!("in force again, as version {}", version.number));
            Ok(Exit::Done)
        }
        Scraper::Import { scraper, file } => {
            let version = runner(config)?.import_data(&scraper, &file).await?;
            output::say(&format!("in force as version {}", version.number));
            Ok(Exit::Done)
        }
        Scraper::ImportMorph { file } => morph::import(config, &file).await,
        Scraper::Secret(action) => belongings::secrets(config, output, action).await,
        Scraper::Webhook(action) => belongings::webhooks(config, output, action).await,
        Scraper::Rm { scraper } => {
            runner(config)?.remove_scraper(&scraper).await?;
            output::say(&format!("{scraper} is removed"));
            Ok(Exit::Done)
        }
    }
}

/// A runner that runs nothing.
fn runner(config: &Config) -> Result<Runner> {
    let folder = DataFolder::create(&config.data)?;
    scrapers::open_runner(config, &folder, assembly::open_archive(config)?, Part::Looks)
}

/// A folder of this machine, or the address of a repository, which may lie on it as well.
fn origin(from: &str, reference: Option<String>) -> Result<Origin> {
    if from.contains("://") {
        let url = from.to_owned();
        return Ok(Origin::Git { url, reference });
    }
    let folder = std::fs::canonicalize(from).with_context(|| {
        format!("there is no folder {from}, and it is no address such as https://HOST/NAME.git")
    })?;
    let path = folder.display().to_string();
    let is_repository = from.ends_with(".git") || folder.join("HEAD").is_file();
    match reference {
        reference if is_repository => Ok(Origin::Git { url: path, reference }),
        Some(_) => bail!(Usage("--reference is for git repositories".to_owned())),
        None => Ok(Origin::Folder { path }),
    }
}

/// Refuses an owner whose scrapers no page would show.
fn check_owner(id: &ScraperId) -> Result<()> {
    match web::is_reserved(id.owner.as_str()) {
        false => Ok(()),
        true => bail!(Usage(format!(
            "the name {} is taken by the pages themselves; choose another owner",
            id.owner
        ))),
    }
}

async fn add(
    config: &Config,
    id: ScraperId,
    from: &str,
    reference: Option<String>,
    given: &Settings,
) -> Result<Exit> {
    check_owner(&id)?;
    let mut settings = ScraperSettings::default();
    settings::apply(given, &mut settings)?;
    let new = NewScraper {
        id,
        origin: origin(from, reference)?,
        settings,
    };
    let added = registry(config)?.add_scraper(new, now()).await?;
    output::say(&format!("{0} is added; `haul scraper run {0}` runs it", added.id));
    Ok(Exit::Done)
}

async fn set(
    config: &Config,
    id: &ScraperId,
    from: Option<&str>,
    reference: Option<String>,
    given: &Settings,
) -> Result<Exit> {
    let registry = registry(config)?;
    let mut scraper = registry.scraper(id).await?;
    settings::apply(given, &mut scraper.settings)?;
    let origin = match from {
        Some(from) => origin(from, reference)?,
        None => scraper.origin,
    };
    registry
        .change_scraper(
            &scraper.id,
            origin,
            scraper.settings,
            Some(scraper.configuration),
            now(),
        )
        .await?;
    output::say(&format!("{id} is changed"));
    Ok(Exit::Done)
}

async fn list(config: &Config, output: Output) -> Result<Exit> {
    let registry = registry(config)?;
    let mut filter = ScraperFilter::default();
    loop {
        let some = registry.scrapers(filter.clone()).await?;
        let Some(last) = some.last() else {
            return Ok(Exit::Done);
        };
        filter.after = Some(last.id.clone());
        for scraper in some {
            if output.json {
                output.json(&scraper)?;
                continue;
            }
            let schedule = scraper.settings.schedule.as_deref().unwrap_or("by hand");
            let state = match (&scraper.paused, scraper.failures) {
                (Some(why), _) => format!("paused: {why}"),
                (None, 0) => String::new(),
                (None, failures) => format!("{failures} failed"),
            };
            output.line(&format!("{:<40} {schedule:<20} {state}", scraper.id.to_string()))?;
        }
    }
}

async fn show(config: &Config, output: Output, id: &ScraperId) -> Result<Exit> {
    let registry = registry(config)?;
    let scraper = registry.scraper(id).await?;
    if output.json {
        output.json(&scraper)?;
    } else {
        output.line(&serde_json::to_string_pretty(&scraper)?)?;
    }
    Ok(Exit::Done)
}

async fn ask(config: &Config, output: Output, id: &ScraperId) -> Result<Exit> {
    let registry = registry(config)?;
    let by = OwnerName::new("local")?;
    let asked = registry.ask(id, Cause::Person { by }, now()).await?;
    let (run, word) = match asked {
        Asked::Queued(run) => (run, "waits"),
        Asked::Already(run) => (run, "waits or runs already"),
    };
    output::say(&format!(
        "run {run} {word}; `haul scraper log {run}` prints its log"
    ));
    if registry.workers(now()).await?.is_empty() {
        output::say("nothing runs scrapers on this data folder now; start `haul up`");
    }
    output.line(&run.to_string())?;
    Ok(Exit::Done)
}

async fn runs(config: &Config, output: Output, scraper: ScraperId, limit: usize) -> Result<Exit> {
    let filter = RunFilter {
        scraper: Some(scraper),
        limit,
        ..RunFilter::default()
    };
    for run in registry(config)?.runs(filter).await? {
        if output.json {
            output.json(&run)?;
        } else {
            output.line(&line(&run))?;
        }
    }
    Ok(Exit::Done)
}

fn line(run: &Run) -> String {
    let state = match &run.ending {
        Some(ending) => ending.message.clone(),
        None => format!("{:?}", run.phase).to_lowercase(),
    };
    format!("{:<8} {}  {state}", run.id, at(run.queued_at))
}

/// A moment as people write it, in UTC.
fn at(moment: Timestamp) -> String {
    let moment = i64::try_from(moment.as_millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok());
    moment.map_or_else(
        || "never".to_owned(),
        |moment| moment.strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

async fn stop(config: &Config, run: RunId) -> Result<Exit> {
    registry(config)?.stop_run(run, "local", now()).await?;
    output::say(&format!("run {run} is to stop"));
    Ok(Exit::Done)
}

async fn log(config: &Config, output: Output, run: RunId) -> Result<Exit> {
    let runner = runner(config)?;
    let seen = follow(&runner, run, |line| {
        if output.json {
            return output.json(line);
        }
        let from = match line.stream {
            Stream::Stdout | Stream::Stderr => "",
            Stream::InternalOut | Stream::InternalErr => "haul: ",
        };
        output.line(&format!("{from}{}", line.text))
    });
    if seen.await? == 0 {
        output::say(&format!("there is no log of run {run} here"));
        return Ok(Exit::Nothing);
    }
    Ok(Exit::Done)
}

/// Shows the lines of a run's log as they come, until it is over, whatever writes it and however often it is tried. How many there were.
pub(super) async fn follow(
    runner: &Runner,
    run: RunId,
    mut show: impl FnMut(&Line) -> Result<()>,
) -> Result<u64> {
    let mut seen = 0;
    loop {
        let is_over = runner.registry().run(run).await?.ending.is_some();
        if let Some(log) = runner.log(run).await? {
            let mut following = log.follow(seen);
            while let Some(lines) = following.next().await? {
                for line in lines {
                    show(&line)?;
                    seen += 1;
                }
            }
        }
        if is_over {
            return Ok(seen);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn pause(config: &Config, id: &ScraperId, why: Option<String>) -> Result<Exit> {
    let scraper = registry(config)?.pause_scraper(id, why, now()).await?;
    match scraper.paused {
        Some(why) => output::say(&format!("the schedule of {id} stands still: {why}")),
        None => output::say(&format!("the schedule of {id} goes on")),
    }
    Ok(Exit::Done)
}

async fn data(config: &Config, id: &ScraperId, file: &Path, version: Option<u64>) -> Result<Exit> {
    if file.exists() {
        bail!(Usage(format!(
            "{} exists already; choose another file",
            file.display()
        )));
    }
    let data = runner(config)?.data(id, version).await?;
    std::fs::copy(&data.path, file).with_context(|| format!("{} cannot be written", file.display()))?;
    output::say(&format!(
        "version {} of {id} is in {}",
        data.version.number,
        file.display()
    ));
    Ok(Exit::Done)
}

async fn versions(config: &Config, output: Output, id: &ScraperId) -> Result<Exit> {
    for version in registry(config)?.versions(id).await? {
        if output.json {
            output.json(&version)?;
            continue;
        }
        let run = version
            .run
            .map_or_else(|| "by hand".to_owned(), |run| format!("run {run}"));
        let bytes = output::bytes(version.bytes);
        output.line(&format!(
            "{:<6} {}  {bytes:<12} {run}",
            version.number,
            at(version.at)
        ))?;
    }
    Ok(Exit::Done)
}
