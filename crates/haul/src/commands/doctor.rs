use std::time::Duration;

use anyhow::{Context, Result, bail};

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
    ];
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
