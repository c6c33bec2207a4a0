//! Dependencies from package registries, each by its own installer, through the proxy: from a small registry in this process that speaks to all of them.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use tests::{Answer, Bench, Need, Request, Site};

use super::{SANDBOX, copy, haul, samples};

/// Where installers look when nobody says otherwise, and the one that the samples name.
const HOSTS: [&str; 3] = ["registry.test", "cpanmetadb.plackperl.org", "www.cpan.org"];

const INSTALLERS: [(&str, Need); 5] = [
    ("python", Need::Output("python3", &["-m", "pip", "--version"])),
    (
        "ruby",
        Need::Output("ruby", &["-rsqlite3", "-rbundler", "-e", "puts 1"]),
    ),
    ("php", Need::Program("composer")),
    ("perl", Need::Program("cpanm")),
    ("node", Need::Program("npm")),
];

pub(super) fn add(bench: &mut Bench) {
    for (language, installer) in INSTALLERS {
        bench.test(
            format!("scraper: {language}, with a dependency from a registry"),
            &[SANDBOX, installer],
            move || installed(language),
        );
    }
}

fn installed(language: &str) -> Result<()> {
    let registry = Site::serve(|request| answer(&samples().join("installers/registry"), request))?;
    let places = HOSTS.map(|host| format!("{host}:80:127.0.0.1:{}", registry.port()));
    let haul = haul(&registry)?.with("HAUL_RUN_RESOLVE", places.join(","));
    let folder = copy(&haul, &format!("installers/{language}"))?
        .display()
        .to_string();
    let ended = haul.expect(0, &["run", "--strict", &folder])?;
    ensure!(ended.stdout.contains("the dependency, and"), "{ended:#?}");
    let asked = registry.asked().len();
    let again = haul.expect(0, &["run", "--strict", &folder])?;
    ensure!(again.stdout.contains("the dependency, and"), "{again:#?}");
    ensure!(registry.asked().len() == asked, "it was built twice: {again:#?}");
    Ok(())
}

/// A file of the registry; of a folder its list.
fn answer(registry: &Path, request: &Request) -> Answer {
    let path = request.path.split('?').next().unwrap_or_default();
    let file = registry.join(path.trim_start_matches('/'));
    let file = if file.is_dir() {
        file.join("index.html")
    } else {
        file
    };
    let kind = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    };
    match fs::read(&file) {
        Ok(bytes) if !path.contains("..") => Answer::bytes(kind, bytes),
        _ => Answer::status(404),
    }
}
