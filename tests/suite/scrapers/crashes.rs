//! `kill -9` of whatever runs scrapers, and of what contains them, at seeded moments: nothing is left behind, and every run ends.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tests::{Bench, Haul, Need, http, wait};

use super::server::{ask, over, up};
use super::{SANDBOX, haul, serve};

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

fn sandbox() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let mark = format!("87{}", std::process::id());
    add_scraper(&haul, "c", &mark)?;
    let (running, address) = up(&haul)?;
    let run = ask(&haul, "o/c")?;
    let bwrap = wait::until("the sandbox", LIMIT, || {
        Ok(sandboxes(running.id())?.into_iter().next())
    })?;
    wait::until("the program", LIMIT, || {
        Ok((!left(&mark)?.is_empty()).then_some(()))
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
