//! `kill -9` of whatever runs scrapers, and of what contains them, at seeded moments: nothing is left behind, and every run ends.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tests::{Answer, Bench, Haul, Need, Site, http, wait};

use super::hostile::groups_of;
use super::server::{ask, over, up};
use super::{SANDBOX, SITE, haul, serve};

const LIMIT: Duration = Duration::from_secs(90);

/// How many kills there are where nothing else is said.
const KILLS: u64 = 8;

pub(super) fn add(bench: &mut Bench) {
    let python = Need::Program("python3");
    bench.test(
        "scrapers: the server is killed at any moment",
        &[SANDBOX, python],
        server,
    );
    bench.test(
        "scrapers: the server is killed in each phase of a run",
        &[SANDBOX, python, Need::Program("git"), Need::Program("npm")],
        each_phase,
    );
    bench.test(
        "scrapers: what contains a run is killed",
        &[SANDBOX, python],
        sandbox,
    );
}

/// A scraper whose processes can be told from all others by `mark`.
fn add_scraper(haul: &Haul, name: &str, mark: &str) -> Result<()> {
    let folder = haul.folder().join(name);
    fs::create_dir_all(&folder)?;
    let code = format!(
        "import subprocess, time, scraperwiki\nchild = subprocess.Popen(['sleep', '{mark}'])\ntime.sleep(1.5)\nscraperwiki.sql.save(['id'], {{'id': 1}})\nchild.kill()\n"
    );
    fs::write(folder.join("scraper.py"), code)?;
    haul.expect(
        0,
        &[
            "scraper",
            "add",
            &format!("o/{name}"),
            &folder.display().to_string(),
        ],
    )?;
    Ok(())
}

/// Processes of runs that are there.
fn left(mark: &str) -> Result<Vec<u32>> {
    let output = Command::new("pgrep")
        .args(["-f", &format!("^sleep {mark}$")])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}

fn kills() -> u64 {
    std::env::var("HAUL_RUN_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(KILLS)
}

fn server() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let mark = format!("86{}", std::process::id());
    add_scraper(&haul, "a", &mark)?;
    add_scraper(&haul, "b", &mark)?;
    for kill in 0..kills() {
        let (running, _) = up(&haul)?;
        ask(&haul, "o/a")?;
        ask(&haul, "o/b")?;
        // From before the first run begins to after its end.
        std::thread::sleep(Duration::from_millis(kill * 2_600 / kills()));
        running.kill()?;
        wait::until("the processes of the runs to go", Duration::from_secs(10), || {
            Ok(left(&mark)?.is_empty().then_some(()))
        })?;
    }
    let (running, address) = up(&haul)?;
    for scraper in ["o/a", "o/b"] {
        let run = ask(&haul, scraper)?;
        let run = wait::until("the run to end", LIMIT, || over(&address, &run).map(Some))?;
        let outcome = run["ending"]["outcome"].as_str().unwrap_or_default().to_owned();
        // One that was begun three times counts as lost; its scraper runs again.
        ensure!(["succeeded", "lost"].contains(&outcome.as_str()), "{run:#}");
        let again = over(&address, &ask(&haul, scraper)?)?;
        ensure!(again["ending"]["outcome"] == "succeeded", "{again:#}");
    }
    ensure!(
        http::get_json(&address, "/api/v1/runs?state=unfinished")?["runs"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    running.interrupt()?;
    ensure!(
        fs::read_dir(haul.data().join("run/work"))?.next().is_none(),
        "a work folder is left"
    );
    Ok(())
}

/// Four runs, of which each stays in its phase for a while, and one moment in which all do. No process can be left where the control groups are gone. The next
/// server takes the runs up, where they can be stopped.
fn each_phase() -> Result<()> {
    let site = Site::serve(|_| Answer::status(404).after(Duration::from_secs(60)))?;
    let haul = haul(&site)?;
    add_slow(&haul)?;
    let (running, address) = up(&haul)?;
    let runs = PHASES.map(|phase| {
        let run = ask(&haul, &format!("o/{phase}"))?;
        reach(&address, &run, phase)?;
        anyhow::Ok(run)
    });
    let runs = runs.into_iter().collect::<Result<Vec<_>>>()?;
    let worker = running.id();
    running.kill()?;
    wait::until("the control groups to go", Duration::from_secs(20), || {
        Ok((groups_of(worker) == 0).then_some(()))
    })?;

    let (running, address) = up(&haul)?;
    for run in runs {
        haul.expect(0, &["scraper", "stop", &run])?;
        wait::until("the run to end", LIMIT, || over(&address, &run).map(Some))?;
    }
    let unfinished = http::get_json(&address, "/api/v1/runs?state=unfinished")?;
    ensure!(
        unfinished["runs"].as_array().is_some_and(Vec::is_empty),
        "{unfinished:#}"
    );
    running.interrupt()?;
    let left = fs::read_dir(haul.data().join("run/work"))?.next();
    ensure!(left.is_none(), "a work folder is left: {left:?}");
    Ok(())
}

/// The last is the shortest.
const PHASES: [&str; 4] = ["syncing", "building", "running", "collecting"];

fn reach(address: &str, run: &str, phase: &str) -> Result<()> {
    wait::until(phase, LIMIT, || {
        let run = http::get_json(address, &format!("/api/v1/runs/{run}"))?;
        ensure!(run["phase"] != "finished", "it was over before {phase}: {run:#}");
        Ok((run["phase"] == phase).then_some(()))
    })
}

/// A scraper for each phase, under its name.
fn add_slow(haul: &Haul) -> Result<()> {
    let folder = |name: &str, files: &[(&str, &str)]| -> Result<String> {
        let folder = haul.folder().join(name);
        fs::create_dir_all(&folder)?;
        for (file, text) in files {
            fs::write(folder.join(file), text)?;
        }
        Ok(folder.display().to_string())
    };
    let package = r#"{"name": "x", "scripts": {"preinstall": "sleep 60"}}"#;
    let origins = [
        format!("http://{SITE}/slow.git"),
        folder("builds", &[("scraper.js", ""), ("package.json", package)])?,
        folder("sleeps", &[("scraper.py", "import time\ntime.sleep(60)\n")])?,
        folder("fills", &[("scraper.py", LARGE)])?,
    ];
    for (phase, origin) in PHASES.iter().zip(origins) {
        haul.expect(0, &["scraper", "add", &format!("o/{phase}"), &origin])?;
    }
    Ok(())
}

/// Half a million rows without a key: it takes a while to check and count them.
const LARGE: &str = "
import sqlite3
database = sqlite3.connect('data.sqlite')
database.execute('create table data (a, b)')
database.executemany('insert into data values (?, ?)', ((n, 'text %d' % n) for n in range(500000)))
database.commit()
";

fn sandbox() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let mark = format!("87{}", std::process::id());
    add_scraper(&haul, "c", &mark)?;
    let (running, address) = up(&haul)?;
    let run = ask(&haul, "o/c")?;
    // First the worker tries what this machine can contain.
    wait::until("the program", LIMIT, || {
        Ok((!left(&mark)?.is_empty()).then_some(()))
    })?;
    let bwrap = wait::until("the sandbox", LIMIT, || {
        Ok(sandboxes(running.id())?.into_iter().next())
    })?;
    let pid = Pid::from_raw(i32::try_from(bwrap)?);
    kill_process(pid.ok_or_else(|| anyhow::anyhow!("no process"))?, Signal::KILL)?;
    let run = over(&address, &run)?;
    ensure!(run["ending"]["outcome"] == "failed", "{run:#}");
    ensure!(left(&mark)?.is_empty(), "a process of the run is left");
    let again = over(&address, &ask(&haul, "o/c")?)?;
    ensure!(again["ending"]["outcome"] == "succeeded", "{again:#}");
    running.interrupt()?;
    Ok(())
}

/// The sandboxes that this process started.
fn sandboxes(of: u32) -> Result<Vec<u32>> {
    let output = Command::new("pgrep")
        .args(["-P", &of.to_string(), "-x", "bwrap"])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
}
