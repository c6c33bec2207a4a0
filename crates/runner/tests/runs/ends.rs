//! Runs that somebody ends, and what is left of them.

use anyhow::{Context, Result, ensure};
use egress::Policy;
use registry::{Outcome, Phase};
use tests::{Bench, Need};

use crate::place::Place;
use crate::{SANDBOX, SQLITE};

const SAVES_AND_WAITS: &str = "sqlite3 data.sqlite 'create table if not exists data(a); insert into data values (1)'\necho saved\nsleep 60";

pub(crate) fn add(bench: &mut Bench) {
    let needs = [SANDBOX, SQLITE];
    bench.test(
        "stopped: what was saved is kept, and so is what it used",
        &needs,
        stopped,
    );
    bench.test(
        "stopped: nothing is kept where that is not wanted",
        &needs,
        not_kept,
    );
    bench.test("stopped while its code comes", &needs, stopped_early);
    bench.test(
        "a worker that ends puts its runs back, which is no try",
        &needs,
        put_back,
    );
    bench.test(
        "a thousand refused hosts do not silence how it ended",
        &[SANDBOX, Need::Program("python3")],
        refused,
    );
}

fn stopped() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script("o/s", SAVES_AND_WAITS)?;
    let run = place.ask(&scraper)?;
    place.until_said(run, "saved")?;
    place.wait(place.runner.stop_run(run, "ann"))?;
    let ending = place.over(run)?.ending.context("an ending")?;
    ensure!(
        ending.outcome == Outcome::Stopped && ending.version == Some(1),
        "{ending:#?}"
    );
    ensure!(ending.message.starts_with("stopped by ann"), "{}", ending.message);
    ensure!(
        ending.usage.wall_ms > 0 && ending.changes["data"].added == 1,
        "{ending:#?}"
    );
    ensure!(ending.language.as_deref() == Some("executable"));
    ensure!(place.rows(&scraper, "select count(*) from data")? == "1");
    ensure!(place.archived("/log/")?.len() == 1);
    Ok(())
}

fn not_kept() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script("o/s", SAVES_AND_WAITS)?;
    let known = place.wait(place.registry().scraper(&scraper))?;
    let mut settings = known.settings;
    settings.keep_after_failure = false;
    let changing =
        place
            .registry()
            .change_scraper(&scraper, known.origin, settings, None, crate::place::now());
    place.wait(changing)?;
    let run = place.ask(&scraper)?;
    place.until_said(run, "saved")?;
    place.wait(place.runner.stop_run(run, "ann"))?;
    let ending = place.over(run)?.ending.context("an ending")?;
    ensure!(
        ending.outcome == Outcome::Stopped && ending.version.is_none(),
        "{ending:#?}"
    );
    Ok(())
}

/// Before the program begins there is nothing to keep.
fn stopped_early() -> Result<()> {
    let place = Place::new()?;
    let scraper = place.script("o/s", SAVES_AND_WAITS)?;
    for number in 0..4_000 {
        let folder = place.path("o-s").join(format!("{}", number / 100));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{number}")), "")?;
    }
    let run = place.ask(&scraper)?;
    place.until_phase(run, Phase::Leased)?;
    place.wait(place.runner.stop_run(run, "ann"))?;
    let ending = place.over(run)?.ending.context("an ending")?;
    ensure!(ending.outcome == Outcome::Stopped, "{ending:#?}");
    let left = std::fs::read_dir(place.path("run/work"))?.count();
    ensure!(left == 0, "{left} work folders are left");
    Ok(())
}

fn put_back() -> Result<()> {
    let mut place = Place::new()?;
    let scraper = place.script(
        "o/s",
        "sqlite3 data.sqlite 'create table data(a)'\necho working\n[ -e /app/goes-on ] || sleep 60",
    )?;
    let run = place.ask(&scraper)?;
    for _ in 0..4 {
        let before = place.log(run)?.iter().filter(|line| *line == "working").count();
        tests::wait::until("the program", crate::place::LIMIT, || {
            let now = place.log(run)?.iter().filter(|line| *line == "working").count();
            Ok((now > before).then_some(()))
        })?;
        place.stop()?;
        let known = place.wait(place.registry().run(run))?;
        ensure!(known.phase == Phase::Queued && known.attempts == 0, "{known:#?}");
        ensure!(known.not_before.is_none(), "{known:#?}");
        place.go_on();
    }
    place.folder("o-s", &[("goes-on", "")])?;
    place.stop()?;
    place.go_on();
    let ending = place.over(run)?.ending.context("an ending")?;
    ensure!(ending.outcome == Outcome::Succeeded, "{ending:#?}");
    let log = place.log(run)?;
    ensure!(
        log.iter().any(|line| line.contains("the run waits again")),
        "{log:#?}"
    );
    Ok(())
}

fn refused() -> Result<()> {
    let place = Place::with(|options| {
        options.policy = Policy {
            deny: vec!["denied.test".to_owned()],
            ..Policy::default()
        };
    })?;
    let code = "import socket\nfor n in range(1100):\n    try:\n        socket.create_connection((f'h{n}.denied.test', 80), 5)\n    except OSError:\n        pass\nraise SystemExit(3)\n";
    let scraper = place.scraper("o/s", &[("scraper.py", code)])?;
    let run = place.run_to(&scraper, Outcome::Failed)?;
    let log = place.log(run.id)?;
    let said = log.iter().filter(|line| line.contains("denied.test")).count();
    ensure!(said == 200, "{said} refusals are in the log");
    ensure!(
        log.iter().any(|line| line.contains("further refusals")),
        "{log:#?}"
    );
    ensure!(
        log.last().is_some_and(|line| line.contains("exit code 3")),
        "{:?}",
        log.last()
    );
    Ok(())
}
