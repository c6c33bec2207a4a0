//! Code that is sent.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};
use model::OwnerName;
use registry::{Origin, Outcome, ScraperSettings};
use tests::Bench;

use crate::place::Place;
use crate::{SANDBOX, SQLITE};

pub(crate) fn add(bench: &mut Bench) {
    let needs = [SANDBOX, SQLITE];
    bench.test(
        "code: other code takes the place of what was sent",
        &needs,
        changed,
    );
    bench.test(
        "code: sent twice to be run, it runs twice and is gone",
        &needs,
        sent_twice,
    );
    bench.test(
        "code: a scraper called uploads keeps its own",
        &needs,
        called_uploads,
    );
}

/// A tar archive of a scraper that says a word.
fn tar(place: &Place, word: &str) -> Result<PathBuf> {
    let script =
        format!("#!/bin/sh\necho says {word}\nsqlite3 data.sqlite 'create table if not exists data(a)'\n");
    let folder = place.folder(word, &[("scraper", &script)])?;
    let tar = place.path(&format!("{word}.tar"));
    let status = Command::new("tar")
        .arg("-cf")
        .arg(&tar)
        .arg("-C")
        .arg(folder)
        .arg(".")
        .status()?;
    ensure!(status.success());
    Ok(tar)
}

/// By the name as somebody typed it.
fn changed() -> Result<()> {
    let place = Place::new()?;
    let (one, two) = (tar(&place, "one")?, tar(&place, "two")?);
    let checksum = place.wait(place.runner.upload(&"ann/bus".parse()?, &one))?;
    let scraper = place.add("ann/bus", Origin::Upload { checksum }, ScraperSettings::default())?;
    let run = place.succeed(&scraper)?;
    ensure!(place.log(run.id)?.contains(&"says one".to_owned()));
    place.wait(place.runner.change_code(&"Ann/BUS".parse()?, &two))?;
    let run = place.succeed(&scraper)?;
    ensure!(place.log(run.id)?.contains(&"says two".to_owned()));
    let kept = place.archived("/upload/")?;
    ensure!(kept.len() == 1, "{kept:?}");
    Ok(())
}

fn sent_twice() -> Result<()> {
    let place = Place::with(|options| options.capacity.slots = 1)?;
    let (tar, by) = (tar(&place, "word")?, OwnerName::new("ann")?);
    let first = place.wait(place.runner.run_upload(&by, &tar))?;
    let second = place.wait(place.runner.run_upload(&by, &tar))?;
    for run in [first, second] {
        let ending = place.over(run.id)?.ending;
        let outcome = ending.as_ref().map(|ending| ending.outcome);
        ensure!(outcome == Some(Outcome::Succeeded), "{ending:#?}");
    }
    tests::wait::until("the code to go", crate::place::LIMIT, || {
        Ok(place.archived("/sent/")?.is_empty().then_some(()))
    })
}

fn called_uploads() -> Result<()> {
    let place = Place::new()?;
    let tar = tar(&place, "word")?;
    let checksum = place.wait(place.runner.upload(&"ann/uploads".parse()?, &tar))?;
    let scraper = place.add(
        "ann/uploads",
        Origin::Upload { checksum },
        ScraperSettings::default(),
    )?;
    let run = place.wait(place.runner.run_upload(&OwnerName::new("ann")?, &tar))?;
    place.over(run.id)?;
    tests::wait::until("the code to go", crate::place::LIMIT, || {
        Ok(place.archived("/sent/")?.is_empty().then_some(()))
    })?;
    place.succeed(&scraper)?;
    Ok(())
}
