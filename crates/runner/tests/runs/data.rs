//! Data that comes and goes.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use runner::RunnerError;
use tests::Bench;

use crate::place::{Place, answer};
use crate::{SANDBOX, SQLITE};

const SAVES: &str = "sqlite3 data.sqlite 'create table if not exists data(a); insert into data values (1)'";

pub(crate) fn add(bench: &mut Bench) {
    let needs = [SANDBOX, SQLITE];
    bench.test(
        "data: journals beside a file that is imported count",
        &needs,
        imported,
    );
    bench.test(
        "data: what cannot be compared in time is kept",
        &needs,
        uncompared,
    );
    bench.test(
        "data: a version that is no longer kept is not restored",
        &needs,
        restored,
    );
    bench.test(
        "data: names in another case are the same scraper",
        &needs,
        other_case,
    );
    bench.test(
        "data: what two scrapers share is removed for each",
        &needs,
        shared,
    );
}

fn imported() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script("o/s", SAVES)?;
    let folder = place.folder("mine", &[])?;
    let database = folder.join("mine.sqlite");
    // Killed while its rows are in the journal only.
    let script = "pragma journal_mode=wal; create table data(a); insert into data values (1), (2);\n.shell cp mine.sqlite taken.sqlite; cp mine.sqlite-wal taken.sqlite-wal\n";
    fs::write(folder.join("script"), script)?;
    let status = Command::new("sh")
        .args(["-c", "sqlite3 mine.sqlite < script > output"])
        .current_dir(&folder)
        .status()?;
    ensure!(status.success() && database.exists());
    let alone = folder.join("alone.sqlite");
    fs::copy(folder.join("taken.sqlite"), &alone)?;
    ensure!(
        answer(&alone, "select count(*) from sqlite_schema")? == "0",
        "nothing is in the journal"
    );
    place.wait(place.runner.import_data(&scraper, &folder.join("taken.sqlite")))?;
    ensure!(place.rows(&scraper, "select count(*) from data")? == "2");
    place.succeed(&scraper)?;
    ensure!(place.rows(&scraper, "select count(*) from data")? == "3");
    Ok(())
}

fn uncompared() -> Result<()> {
    let place = Place::with(|options| options.compare_time = Duration::ZERO)?;
    let script = "sqlite3 data.sqlite 'create table if not exists data(a); with recursive n(x) as (select 1 union all select x + 1 from n limit 20000) insert into data select x from n'";
    let scraper = place.script("o/s", script)?;
    place.succeed(&scraper)?;
    let ending = place.succeed(&scraper)?.ending.context("an ending")?;
    ensure!(ending.version == Some(2), "{ending:#?}");
    ensure!(
        ending.message.contains("could not be counted"),
        "{}",
        ending.message
    );
    ensure!(place.rows(&scraper, "select count(*) from data")? == "40000");
    Ok(())
}

fn restored() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script("o/s", SAVES)?;
    for _ in 0..3 {
        place.succeed(&scraper)?;
    }
    let version = place.wait(place.runner.restore(&scraper, 1))?;
    ensure!(version.number == 4);
    ensure!(place.rows(&scraper, "select count(*) from data")? == "1");
    let error = place.wait(place.runner.restore(&scraper, 9));
    ensure!(
        matches!(error, Err(RunnerError::NoVersion { version: 9, .. })),
        "{error:?}"
    );
    Ok(())
}

fn other_case() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script("ann/bus", SAVES)?;
    for _ in 0..2 {
        place.succeed(&scraper)?;
    }
    fs::remove_dir_all(place.path("run/data"))?;
    fs::create_dir(place.path("run/data"))?;
    let version = place.wait(place.runner.restore(&"Ann/BUS".parse()?, 1))?;
    ensure!(version.number == 3);
    place.succeed(&scraper)?;
    ensure!(place.archived("/scraper/Ann")?.is_empty());
    Ok(())
}

fn shared() -> Result<()> {
    let place = Place::new()?;
    let (one, other) = (place.script("o/one", SAVES)?, place.script("o/other", SAVES)?);
    place.succeed(&one)?;
    place.succeed(&other)?;
    ensure!(place.archived("/dataset/")?.len() == 2);
    place.wait(place.runner.remove_scraper(&one))?;
    ensure!(
        place.archived("/scraper/o/one/")?.is_empty(),
        "{:?}",
        place.archived("/one/")?
    );
    place.succeed(&other)?;
    Ok(())
}
