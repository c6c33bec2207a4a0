//! Scrapers with the real binary: every language, what must be contained, a server that runs them, what survives `kill -9`.

mod crashes;
mod hostile;
mod installers;
mod languages;
mod letters;
mod origins;
mod people;
mod phases;
mod server;
mod spiral;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;
use tests::{Answer, Bench, Ended, Haul, Need, Request, Site};

/// The name under which scrapers know the site.
const SITE: &str = "site.test";

pub(crate) fn add(bench: &mut Bench) {
    languages::add(bench);
    hostile::add(bench);
    installers::add(bench);
    origins::add(bench);
    people::add(bench);
    phases::add(bench);
    server::add(bench);
    letters::add(bench);
    crashes::add(bench);
    spiral::add(bench);
}

/// What every sandbox needs.
const SANDBOX: Need = Need::Program("bwrap");

/// The folder of scrapers that tests run.
fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scrapers")
}

/// The site that they scrape.
fn serve() -> Result<Site> {
    let folder = samples().join("site");
    Site::serve(move |request| answer(&folder, request))
}

fn answer(folder: &Path, request: &Request) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    if path == "/to" {
        return Answer::redirect(query);
    }
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let is_plain = !name.contains("..");
    match fs::read(folder.join(name)).ok().filter(|_| is_plain) {
        Some(body) => Answer::bytes("text/html; charset=utf-8", body),
        None => Answer::status(404),
    }
}

/// Haul, with the site where its proxy finds it.
fn haul(site: &Site) -> Result<Haul> {
    let haul = Haul::new()?;
    let cache = haul.folder().join("cache");
    Ok(haul
        .with("HAUL_RUN_RESOLVE", format!("{SITE}:80:127.0.0.1:{}", site.port()))
        .with("XDG_CACHE_HOME", cache.display().to_string())
        .with("MORPH_SITE", format!("http://{SITE}")))
}

/// A copy of a sample, so that its data stays out of the repository.
fn copy(haul: &Haul, name: &str) -> Result<PathBuf> {
    let (from, to) = (samples().join(name), haul.folder().join(name.replace('/', "-")));
    fs::create_dir_all(&to)?;
    for entry in fs::read_dir(&from).with_context(|| format!("no sample {name}"))? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(to)
}

/// How a run by `haul run --json` ended.
fn ending(ended: &Ended) -> Result<Value> {
    Ok(ended.json()?["ending"].clone())
}

/// The rows of the table `data`, as stock sqlite3 prints them.
fn rows(database: &Path, query: &str) -> Result<String> {
    let output = std::process::Command::new("sqlite3")
        .args(["-separator", "\t"])
        .arg(database)
        .arg(query)
        .output()?;
    anyhow::ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
