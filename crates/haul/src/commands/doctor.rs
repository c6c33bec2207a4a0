use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow, bail};
use runtimes::Runtimes;
use sandbox::{Sandbox, SandboxOptions};

use crate::assembly;
use crate::config::Config;
use crate::data_folder::DataFolder;
use crate::exit::Exit;
use crate::output::Output;
use crate::service;

/// Less free space than this is worth a word: 1 GiB.
const LITTLE_SPACE: u64 = 1 << 30;

/// Tries everything that a crawl and a search will need, and says what is wrong and what to do.
pub(crate) async fn run(config: &Config, output: Output) -> Result<Exit> {
    let findings = [
        ("data folder", data_folder(config)),
        ("free space", free_space(config)),
        ("crawl database", crawl_database(config).await),
        ("archive", archive(config).await),
        ("packs", packs(config).await),
        ("PDF reader", pdf(config).await),
        ("registry", registry(config).await),
    ];
    let findings = findings.into_iter().chain(scrapers(config)?);
    let mut exit = Exit::Done;
    for (what, found) in findings {
        let (mark, text) = match &found {
            Ok(text) => ("ok", text.clone()),
            Err(error) => ("WRONG", format!("{error:#}")),
        };
        if found.is_err() {
            exit = Exit::Failed;
        }
        if output.json {
            output.json(&serde_json::json!({ "check": what, "ok": found.is_ok(), "detail": text }))?;
        } else {
            output.line(&format!("{mark:<6} {what:<15} {text}"))?;
        }
    }
    Ok(exit)
}

fn data_folder(config: &Config) -> Result<String> {
    let folder = DataFolder::create(&config.data)?;
    let lock = folder.lock("haul doctor")?;
    drop(lock);
    Ok(format!("{} can be written", folder.path().display()))
}

fn free_space(config: &Config) -> Result<String> {
    let stat = rustix::fs::statvfs(&config.data).context("the file system cannot be asked")?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < LITTLE_SPACE {
        bail!(
            "only {} are free; a crawl keeps what it fetches",
            crate::output::bytes(free)
        );
    }
    Ok(format!("{} are free", crate::output::bytes(free)))
}

async fn crawl_database(config: &Config) -> Result<String> {
    let folder = DataFolder::create(&config.data)?;
    let crawldb = assembly::open_crawldb(&folder, config)?;
    let problems = crawldb.check().await?;
    if !problems.is_empty() {
        bail!(
            "{} is damaged; restore it from a copy, or crawl anew into another folder: {}",
            folder.crawldb().display(),
            problems.join("; ")
        );
    }
    Ok(format!("whole, {} sources", crawldb.sources().await?.len()))
}

async fn archive(config: &Config) -> Result<String> {
    let archive = assembly::open_archive(config)?;
    let probed = tokio::time::timeout(Duration::from_secs(30), archive.probe()).await;
    probed.context("the archive did not answer within 30 seconds")??;
    Ok(format!(
        "{} can be written and honours conditions",
        archive.place()
    ))
}

/// Fetches and verifies the current pack of every host.
async fn packs(config: &Config) -> Result<String> {
    let archive = assembly::open_archive(config)?;
    let folder = tempfile::tempdir()?;
    let hosts = archive.hosts().await?;
    for host in &hosts {
        let Some(manifest) = archive.manifest(host).await? else {
            continue;
        };
        let file = folder.path().join("pack.sqlite");
        archive
            .fetch_pack(host, &manifest.current.checksum, &file)
            .await?;
        let path = file.clone();
        let verified = tokio::task::spawn_blocking(move || pack::verify(&path)).await?;
        verified.with_context(|| format!("the pack of {host}"))?;
        std::fs::remove_file(&file)?;
    }
    Ok(format!("{} fetched and verified", hosts.len()))
}

async fn registry(config: &Config) -> Result<String> {
    let folder = DataFolder::create(&config.data)?;
    let registry = crate::scrapers::open_registry(config, &folder)?;
    let workers = registry.workers(SystemTime::now().into()).await?;
    Ok(format!("can be used, {} workers are at work", workers.len()))
}

/// What runs of scrapers need: limits that this machine must give, languages that it may have.
fn scrapers(config: &Config) -> Result<Vec<(&'static str, Result<String>)>> {
    let folder = tempfile::tempdir()?;
    let options = crate::scrapers::runner_options(config, folder.path())?;
    let sandbox = Sandbox::detect(SandboxOptions {
        container: options.container.clone(),
        contain: options.contain,
        first_uid: runner::FIRST_UID,
        accept_lacks: options.accept_lacks.clone(),
    });
    let mut findings: Vec<_> = sandbox
        .lacks()
        .iter()
        .map(|lack| {
            let is_accepted = options.accept_lacks.contains(&lack.ability);
            let said = format!("{:?}: {}", lack.ability, lack.reason);
            let found = if is_accepted {
                Ok(format!("{said} (accepted)"))
            } else {
                Err(anyhow!(said))
            };
            ("sandbox", found)
        })
        .collect();
    if findings.is_empty() {
        findings.push(("sandbox", Ok("gives every limit".to_owned())));
    }
    for (language, versions) in Runtimes::installed().list() {
        // A language that nobody uses need not be there.
        let text = versions.map_or_else(
            |remedy| format!("{language} is not installed: {remedy}"),
            |versions| format!("{language} {}", versions.join(", ")),
        );
        findings.push(("scrapers", Ok(text)));
    }
    findings.push(("scrapers", Ok(git())));
    Ok(findings)
}

/// Scrapers come from repositories with it; folders and uploads need nothing.
fn git() -> String {
    let asked = Command::new("git").arg("--version").output();
    match asked.ok().filter(|answer| answer.status.success()) {
        Some(answer) => String::from_utf8_lossy(&answer.stdout).trim().to_owned(),
        None => "git is not installed, so no scraper can come from a repository: install the package git"
            .to_owned(),
    }
}

async fn pdf(config: &Config) -> Result<String> {
    let extract = service::pdf_reader(config)?
        .read(include_bytes!("../../demo/doctor.pdf"))
        .await?;
    let text = extract
        .passages
        .first()
        .map(|passage| passage.text.as_str())
        .unwrap_or_default();
    if text.trim() != "Haul" {
        bail!("a small PDF was read as {text:?}; reinstall haul");
    }
    Ok("reads a PDF within its limits".into())
}
