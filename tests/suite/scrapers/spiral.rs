//! More scrapers than places: the queue drains, nothing waits on a timer, everything ends. The simulation of a whole day is in the registry's
//! tests; this is the same in miniature, with real runs. `HAUL_SPIRAL_SECONDS` makes it longer.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Bench, Haul, Need, http, wait};

use super::server::{ask, up};
use super::{SANDBOX, haul, serve};

const SCRAPERS: usize = 30;
const SECONDS: u64 = 15;

pub(super) fn add(bench: &mut Bench) {
    let needs = [SANDBOX, Need::Program("python3")];
    bench.test("scrapers: thirty on two places", &needs, spiral);
}

fn seconds() -> Duration {
    let set = std::env::var("HAUL_SPIRAL_SECONDS").ok();
    Duration::from_secs(set.and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS))
}

fn spiral() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?
        .with("HAUL_RUN_SLOTS", "2")
        .with("HAUL_RUN_MEMORY_MIB", "700");
    for number in 0..SCRAPERS {
        add_one(&haul, number)?;
    }
    let (running, address) = up(&haul)?;
    let started = Instant::now();
    // Far more wishes than two places can fulfil.
    while started.elapsed() < seconds() {
        for number in 0..SCRAPERS {
            ask(&haul, &name(number))?;
        }
        let going_on = unfinished(&address)?;
        let with_place = going_on.iter().filter(|run| !run["leased_at"].is_null()).count();
        ensure!(
            with_place <= 2 && going_on.len() <= SCRAPERS,
            "{with_place} run, {} in all",
            going_on.len()
        );
    }
    // From now on nothing is asked for: what waits becomes less, and is never put off.
    let mut before = unfinished(&address)?.len();
    let limit = Duration::from_secs(180) + seconds();
    wait::until("the queue to drain", limit, || {
        let going_on = unfinished(&address)?;
        ensure!(
            going_on.len() <= before,
            "the queue grew from {before} to {}",
            going_on.len()
        );
        let is_put_off = |run: &&Value| !run["not_before"].is_null();
        ensure!(
            !going_on.iter().any(|run| is_put_off(&run)),
            "a run waits on a timer: {going_on:#?}"
        );
        before = going_on.len();
        Ok((before == 0).then_some(()))
    })?;
    for number in 0..SCRAPERS {
        let runs = http::get_json(&address, &format!("/api/v1/scrapers/{}/runs", name(number)))?;
        let runs = runs["runs"].as_array().context("runs")?;
        let good = runs.iter().all(|run| run["ending"]["outcome"] == "succeeded");
        ensure!(good && !runs.is_empty(), "{}: {runs:#?}", name(number));
    }
    running.interrupt()?;
    Ok(())
}

/// Six owners have five each.
fn name(number: usize) -> String {
    format!("owner{}/s{number}", number % 6)
}

fn add_one(haul: &Haul, number: usize) -> Result<()> {
    let folder = haul.folder().join(format!("s{number}"));
    fs::create_dir_all(&folder)?;
    let code = "import sqlite3, time\ntime.sleep(0.3)\ndata = sqlite3.connect('data.sqlite')\ndata.execute('create table if not exists data (id integer primary key)')\ndata.execute('insert or replace into data values (1)')\ndata.commit()\n";
    fs::write(folder.join("scraper.py"), code)?;
    haul.expect(
        0,
        &["scraper", "add", &name(number), &folder.display().to_string()],
    )?;
    Ok(())
}

fn unfinished(address: &str) -> Result<Vec<Value>> {
    let runs = http::get_json(address, "/api/v1/runs?state=unfinished&limit=1000")?;
    Ok(runs["runs"].as_array().context("runs")?.clone())
}
