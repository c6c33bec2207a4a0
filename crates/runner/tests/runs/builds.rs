//! Dependencies.

use anyhow::{Context, Result, ensure};
use registry::{Outcome, Secret, SecretName};
use tests::{Bench, Need};

use crate::SANDBOX;
use crate::place::Place;

const CODE: &str = "import scraperwiki\nscraperwiki.sql.save(['id'], {'id': 1})\n";

pub(crate) fn add(bench: &mut Bench) {
    let needs = [
        SANDBOX,
        Need::Output("/usr/bin/python3", &["-m", "pip", "--version"]),
    ];
    bench.test(
        "build: kept for the owner's scrapers, and for nobody else's",
        &needs,
        owners,
    );
    bench.test(
        "build: without secrets, and it can be stopped",
        &[SANDBOX, Need::Program("npm")],
        stopped,
    );
    bench.test(
        "build: one that fails says so, and of which language",
        &needs,
        failed,
    );
}

fn owners() -> Result<()> {
    let place = Place::new()?;
    let requirements = ("requirements.txt", "# nothing\n");
    // What its owner calls pip.
    let pip = ("pip.py", "print('hijacked')\n");
    let mallory = place.scraper("mallory/s", &[("scraper.py", CODE), requirements, pip])?;
    let run = place.succeed(&mallory)?;
    let log = place.log(run.id)?;
    ensure!(!log.iter().any(|line| line.contains("hijacked")), "{log:#?}");
    let said = |owner: &str| -> Result<Vec<String>> {
        let scraper = place.scraper(owner, &[("scraper.py", CODE), requirements])?;
        let run = place.succeed(&scraper)?;
        place.log(run.id)
    };
    let first = said("alice/one")?;
    ensure!(
        first.contains(&"Installing dependencies".to_owned()),
        "{first:#?}"
    );
    let second = said("alice/two")?;
    let words = "Its dependencies are installed already".to_owned();
    ensure!(second.contains(&words), "{second:#?}");
    Ok(())
}

fn failed() -> Result<()> {
    let place = Place::new()?;
    let files = [("scraper.py", CODE), ("requirements.txt", "./nowhere\n")];
    let scraper = place.scraper("o/s", &files)?;
    let ending = place
        .run_to(&scraper, Outcome::BuildFailed)?
        .ending
        .context("an ending")?;
    ensure!(ending.language.as_deref() == Some("python"), "{ending:#?}");
    ensure!(ending.log_lines > 0, "{ending:#?}");
    Ok(())
}

fn stopped() -> Result<()> {
    let place = Place::new()?;
    let package = r#"{"scripts": {"preinstall": "echo \"builds with <$MORPH_TOKEN>\"; sleep 60"}}"#;
    let scraper = place.scraper("o/s", &[("scraper.js", ""), ("package.json", package)])?;
    let name = SecretName::new("MORPH_TOKEN")?;
    let secret = Secret::new("t0ken-of-o");
    place.wait(place.registry().set_secret(&scraper, &name, secret))?;
    let run = place.ask(&scraper)?;
    place.until_said(run, "builds with <>")?;
    place.wait(place.runner.stop_run(run, "ann"))?;
    let ending = place.over(run)?.ending.context("an ending")?;
    ensure!(ending.outcome == Outcome::Stopped, "{ending:#?}");
    let builds = std::fs::read_dir(place.path("builds"))?.count();
    ensure!(builds == 0, "a build that was stopped is kept");
    Ok(())
}
