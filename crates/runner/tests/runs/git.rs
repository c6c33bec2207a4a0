//! Code from repositories.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use egress::Resolve;
use registry::{Origin, Outcome, Phase, ScraperSettings};
use tests::{Answer, Bench, Need, Site};

use crate::place::Place;
use crate::{SANDBOX, SQLITE};

const NEEDS: [Need; 3] = [SANDBOX, SQLITE, Need::Program("git")];

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "git: what is run is what was named, from a folder",
        &NEEDS,
        || references(false),
    );
    bench.test(
        "git: what is run is what was named, from plain files",
        &NEEDS,
        || references(true),
    );
    bench.test(
        "git: a name that is not there is tried again, and said",
        &NEEDS,
        missing,
    );
    bench.test(
        "git: journals in a repository are not those of the data",
        &NEEDS,
        journals,
    );
}

fn git(folder: &Path, words: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@example.gov",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Saves a row and says on which branch it was committed.
fn commit(folder: &Path, branch: &str) -> Result<String> {
    let script = format!(
        "#!/bin/sh\necho branch {branch}\nsqlite3 data.sqlite 'create table if not exists data(a); insert into data values (1)'\n"
    );
    fs::write(folder.join("scraper"), script)?;
    fs::set_permissions(folder.join("scraper"), Permissions::from_mode(0o755))?;
    git(folder, &["add", "."])?;
    git(folder, &["commit", "-q", "--allow-empty", "-m", branch])?;
    git(folder, &["rev-parse", "HEAD"])
}

/// A repository whose first branch by name is not the one that counts. The tip of `zeta`, and the commit before `main`.
fn repository(place: &Place) -> Result<(String, String)> {
    let folder = place.folder("code", &[])?;
    git(&folder, &["init", "-q"])?;
    let old = commit(&folder, "old")?;
    commit(&folder, "main")?;
    git(&folder, &["tag", "v1"])?;
    let mut tip = String::new();
    for branch in ["alpha", "zeta"] {
        git(&folder, &["checkout", "-q", "-b", branch, "main"])?;
        tip = commit(&folder, branch)?;
    }
    git(&folder, &["checkout", "-q", "main"])?;
    git(&folder, &["clone", "-q", "--bare", ".", "../code.git"])?;
    git(&place.path("code.git"), &["update-server-info"])?;
    Ok((tip, old))
}

/// A place where `site.test` is this site.
fn place_with(site: &Site) -> Result<Place> {
    let address = ([127, 0, 0, 1], site.port()).into();
    Place::with(|options| {
        options.policy.resolve = vec![Resolve {
            host: "site.test".to_owned(),
            port: 80,
            address,
        }];
    })
}

fn references(is_plain: bool) -> Result<()> {
    let files = tempfile::tempdir()?;
    let root = files.path().to_owned();
    let site = Site::serve(move |request| {
        let path = request.path.split('?').next().unwrap_or_default();
        match fs::read(root.join(path.trim_start_matches('/'))) {
            // Without the type of a server that speaks git's own protocol.
            Ok(bytes) => Answer::bytes("text/plain", bytes),
            Err(_) => Answer::status(404),
        }
    })?;
    let place = place_with(&site)?;
    let (tip, old) = repository(&place)?;
    let url = match is_plain {
        true => {
            fs::rename(place.path("code.git"), files.path().join("code.git"))?;
            "http://site.test/code.git".to_owned()
        }
        false => place.path("code.git").display().to_string(),
    };
    let short: String = old.chars().take(8).collect();
    let wishes = [
        (None, "main"),
        (Some("zeta"), "zeta"),
        (Some("v1"), "main"),
        (Some(tip.as_str()), "zeta"),
        (Some(short.as_str()), "old"),
    ];
    for (number, (reference, branch)) in wishes.into_iter().enumerate() {
        let origin = Origin::Git {
            url: url.clone(),
            reference: reference.map(str::to_owned),
        };
        let scraper = place.add(&format!("o/s{number}"), origin, ScraperSettings::default())?;
        let run = place.succeed(&scraper)?;
        let log = place.log(run.id)?;
        ensure!(
            log.contains(&format!("branch {branch}")),
            "{reference:?}: {log:#?}"
        );
        let revision = run.ending.and_then(|ending| ending.revision).unwrap_or_default();
        ensure!(
            revision.starts_with(&short) == (branch == "old"),
            "{reference:?}: {revision}"
        );
    }
    Ok(())
}

/// The log of a run that ends while it waits for its next try is kept like any other.
fn missing() -> Result<()> {
    let place = Place::new()?;
    repository(&place)?;
    let origin = Origin::Git {
        url: place.path("code.git").display().to_string(),
        reference: Some("nowhere".to_owned()),
    };
    let scraper = place.add("o/s", origin, ScraperSettings::default())?;
    let run = place.ask(&scraper)?;
    place.until_said(run, "it is tried again")?;
    tests::wait::until("the next try", crate::place::LIMIT, || {
        let known = place.wait(place.registry().run(run))?;
        Ok((known.phase == Phase::Queued && known.attempts == 1).then_some(()))
    })?;
    let stopped = place.wait(place.runner.stop_run(run, "ann"))?;
    ensure!(
        stopped
            .ending
            .is_some_and(|ending| ending.outcome == Outcome::Stopped)
    );
    ensure!(
        place.archived("/log/")?.len() == 1,
        "its log is not in the archive"
    );
    Ok(())
}

fn journals() -> Result<()> {
    let place = Place::new()?;
    let folder = place.folder("code", &[])?;
    git(&folder, &["init", "-q"])?;
    commit(&folder, "main")?;
    fs::write(folder.join("data.sqlite-wal"), "old")?;
    fs::create_dir(folder.join("data.sqlite"))?;
    fs::write(folder.join("data.sqlite/file"), "old")?;
    let origin = |reference: &str| Origin::Git {
        url: folder.join(".git").display().to_string(),
        reference: Some(reference.to_owned()),
    };
    let scraper = place.add("o/s", origin("main"), ScraperSettings::default())?;
    place.succeed(&scraper)?;
    git(&folder, &["checkout", "-q", "-b", "journals"])?;
    commit(&folder, "journals")?;
    place.wait(
        place
            .registry()
            .set_origin(&scraper, origin("journals"), crate::place::now()),
    )?;
    place.succeed(&scraper)?;
    ensure!(place.rows(&scraper, "select count(*) from data")? == "2");
    Ok(())
}
