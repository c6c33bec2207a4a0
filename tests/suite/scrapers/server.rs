//! A server that runs scrapers: asked on the command line and in a browser, its data in every form, its secrets nowhere.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tests::{Bench, Browser, Haul, Need, Page, Running, http, wait};

use super::{SANDBOX, SITE, copy, haul, serve};

pub(super) const LIMIT: Duration = Duration::from_secs(60);
const SECRET: &str = "n0t-for-anybodys-eyes";

pub(super) fn add(bench: &mut Bench) {
    let python = Need::Program("python3");
    bench.test(
        "scrapers: a server runs one, and serves its data in every form",
        &[SANDBOX, python],
        data,
    );
    bench.test(
        "scrapers: secrets are in no log, list of processes, build or file",
        &[SANDBOX, python],
        secrets,
    );
    bench.test(
        "scrapers: a server opens as many files as the system lets it",
        &[],
        files,
    );
    let chromium = Need::Program("chromium");
    bench.test(
        "browser: a scraper is added, watched while it runs, and set",
        &[SANDBOX, python, chromium],
        browse,
    );
}

/// A server on the data folder of `haul`, and its address.
pub(super) fn up(haul: &Haul) -> Result<(Running, String)> {
    listening(haul.start(&["up", "--listen", "127.0.0.1:0", "--json"])?)
}

fn listening(mut running: Running) -> Result<(Running, String)> {
    let address = wait::until("the server", LIMIT, || {
        ensure!(!running.is_over()?, "it ended: {}", running.said()?);
        let told: Option<Value> = running
            .written()?
            .lines()
            .next()
            .and_then(|line| serde_json::from_str(line).ok());
        Ok(told.and_then(|told| told["listening"].as_str().map(str::to_owned)))
    })?;
    let address = address
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    Ok((running, address))
}

/// Connections of runs must not leave the server without files, so it does not stay at the limit that shells begin with.
fn files() -> Result<()> {
    let haul = Haul::new()?;
    let mut command = Command::new("sh");
    let lowered = "ulimit -Sn 256 && exec \"$0\" up --listen 127.0.0.1:0 --json";
    command.args(["-c", lowered]).arg(haul.binary());
    let (_running, address) = listening(haul.start_as(command)?)?;
    let figures = http::get(&address, "/metrics")?;
    let limit = figures
        .lines()
        .find_map(|line| line.strip_prefix("process_max_fds "))
        .context("the limit is not shown")?;
    ensure!(limit.parse::<f64>()? > 256.0, "the limit is {limit}");
    Ok(())
}

/// The run with this number, when it is over.
pub(super) fn over(address: &str, run: &str) -> Result<Value> {
    wait::until("the run to end", LIMIT, || {
        let run = http::get_json(address, &format!("/api/v1/runs/{run}"))?;
        Ok((run["phase"] == "finished").then_some(run))
    })
}

pub(super) fn ask(haul: &Haul, scraper: &str) -> Result<String> {
    Ok(haul
        .expect(0, &["scraper", "run", scraper])?
        .stdout
        .trim()
        .to_owned())
}

fn data() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let folder = copy(&haul, "python")?.display().to_string();
    haul.expect(0, &["scraper", "add", "planning/bega", &folder])?;
    set_secret(&haul, "planning/bega", "MORPH_SITE", &format!("http://{SITE}"))?;
    let key = haul
        .expect(0, &["key", "issue", "planning"])?
        .stdout
        .trim()
        .to_owned();
    let (running, address) = up(&haul)?;
    let run = over(&address, &ask(&haul, "planning/bega")?)?;
    ensure!(run["ending"]["outcome"] == "succeeded", "{run:#}");

    let place = |form: &str, more: &str| format!("/planning/bega/data.{form}?key={key}{more}");
    let query = "&query=select+*+from+data+limit+1";
    let json: Value = serde_json::from_str(&http::get(&address, &place("json", query))?)?;
    ensure!(json.as_array().is_some_and(|rows| rows.len() == 1), "{json:#}");
    ensure!(http::get(&address, &place("csv", query))?.lines().count() == 2);
    ensure!(http::get(&address, &place("atom", query))?.contains("<entry>"));
    let database = haul.folder().join("out.sqlite");
    haul.expect(
        0,
        &[
            "scraper",
            "data",
            "planning/bega",
            "-o",
            &database.display().to_string(),
        ],
    )?;
    ensure!(fs::read(&database)?.starts_with(b"SQLite format 3\0"));

    let again = over(&address, &ask(&haul, "planning/bega")?)?;
    let rows = &again["ending"]["changes"]["data"];
    ensure!(
        rows["added"] == 0 && rows["unchanged"].as_u64() > Some(0),
        "{again:#}"
    );
    let log = haul.expect(0, &["scraper", "log", &run["id"].to_string()])?;
    ensure!(log.stdout.contains("haul: Running"), "{log:#?}");
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

pub(super) fn set_secret(haul: &Haul, scraper: &str, name: &str, value: &str) -> Result<()> {
    let file = haul.folder().join("secret.txt");
    fs::write(&file, value)?;
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$0\" scraper secret set \"$1\" \"$2\" < \"$3\""]);
    command.arg(haul.binary()).args([scraper, name]).arg(&file);
    let ended = haul.start_as(command)?.wait()?;
    fs::remove_file(&file)?;
    ensure!(ended.code == Some(0), "{ended:#?}");
    Ok(())
}

fn secrets() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let folder = haul.folder().join("slow");
    fs::create_dir_all(&folder)?;
    let code = "import os, time\nprint('the secret is', os.environ['MORPH_TOKEN'], flush=True)\ntime.sleep(3)\nimport scraperwiki\nscraperwiki.sql.save(['id'], {'id': 1})\n";
    fs::write(folder.join("scraper.py"), code)?;
    haul.expect(0, &["scraper", "add", "o/slow", &folder.display().to_string()])?;
    set_secret(&haul, "o/slow", "MORPH_TOKEN", SECRET)?;
    let (running, address) = up(&haul)?;
    let run = ask(&haul, "o/slow")?;
    wait::until("the program to run", LIMIT, || {
        let run = http::get_json(&address, &format!("/api/v1/runs/{run}"))?;
        Ok((run["phase"] == "running").then_some(()))
    })?;
    ensure!(
        !processes()?.contains(SECRET),
        "a list of processes shows the secret"
    );
    let run = over(&address, &run)?;
    ensure!(run["ending"]["outcome"] == "succeeded", "{run:#}");
    let log = haul
        .expect(0, &["scraper", "log", &run["id"].to_string()])?
        .stdout;
    ensure!(
        log.contains("the secret is ****") && !log.contains(SECRET),
        "{log}"
    );
    haul.expect(0, &["scraper", "secret", "rotate-key"])?;
    let again = over(&address, &ask(&haul, "o/slow")?)?;
    ensure!(
        again["ending"]["outcome"] == "succeeded",
        "after another key: {again:#}"
    );
    running.interrupt()?;
    let found = files_with(&haul.data(), SECRET.as_bytes())?;
    ensure!(found.is_empty(), "the secret stands in {found:?}");
    Ok(())
}

/// What a list of all processes shows.
fn processes() -> Result<String> {
    let output = Command::new("ps").args(["axww", "-o", "args"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn files_with(folder: &Path, needle: &[u8]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_with(&path, needle)?);
        } else if fs::read(&path)?
            .windows(needle.len())
            .any(|bytes| bytes == needle)
        {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}

fn browse() -> Result<()> {
    let site = serve()?;
    let haul = haul(&site)?;
    let folder = haul.folder().join("lines");
    fs::create_dir_all(&folder)?;
    let code = "import time\nfor n in range(1, 61):\n    print('line', n, flush=True)\n    time.sleep(0.1)\nimport scraperwiki\nscraperwiki.sql.save(['id'], [{'id': n, 'name': 'row %d' % n} for n in range(3)])\n";
    fs::write(folder.join("scraper.py"), code)?;
    haul.expect(
        0,
        &["scraper", "add", "local/lines", &folder.display().to_string()],
    )?;
    let (running, address) = up(&haul)?;
    let mut browser = Browser::start()?;
    let mut page = browser.page()?;
    page.open(&format!("http://{address}/scrapers"))?;
    page.follow("tbody a[href='/scrapers/local/lines']")?;
    page.follow("form[action$='/run'] button")?;
    watch(&mut page)?;
    page.follow("p.above a[href='/scrapers/local/lines']")?;
    page.until("document.querySelector('.data table').innerText.includes('row 2')")?;
    set(&mut page, &format!("http://{address}/scrapers/local/lines"))?;
    let scraper = http::get_json(&address, "/api/v1/scrapers/local/lines")?;
    let schedule = scraper["settings"]["schedule"].as_str().context("a schedule")?;
    ensure!(schedule == "daily", "{scraper:#}");
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

/// The log grows while the page is open, no line comes twice, and the page shows the end when it comes.
fn watch(page: &mut Page<'_>) -> Result<()> {
    const LINES: &str = "[...document.querySelectorAll('.log li')]";
    page.until(&format!("{LINES}.some(line => line.textContent === 'line 3')"))?;
    let shown = page.evaluate("document.querySelector('[data-run-state]').innerText")?;
    page.until("document.querySelector('[data-run-state]').innerText === 'running'")
        .with_context(|| format!("it was {shown}"))?;
    page.until("document.body.innerText.includes('3 rows added')")?;
    page.until("document.querySelector('[data-run-state]').innerText === 'succeeded'")?;
    let lines = page.evaluate(&format!(
        "{LINES}.filter(line => line.textContent.startsWith('line ')).length"
    ))?;
    ensure!(lines == 60, "{lines} of 60 lines are shown");
    Ok(())
}

/// Its settings, a secret, which no page shows, and a webhook, whose key is shown once.
fn set(page: &mut Page<'_>, scraper: &str) -> Result<()> {
    page.open(&format!("{scraper}/settings"))?;
    page.submit("#schedule", "daily")?;
    page.until("document.body.innerText.includes('Runs daily, next')")?;
    page.open(&format!("{scraper}/secrets"))?;
    page.evaluate("document.querySelector('#name').value = 'MORPH_A'")?;
    page.submit("#value", SECRET)?;
    page.until("document.querySelector('.held').innerText.includes('MORPH_A')")?;
    let shown = page.evaluate(&format!(
        "document.documentElement.outerHTML.includes('{SECRET}')"
    ))?;
    ensure!(shown == Value::Bool(false), "the page shows a secret");
    page.open(&format!("{scraper}/webhooks"))?;
    page.submit("#url", "http://127.0.0.1:9/")?;
    page.until("document.body.innerText.includes('shown only now')")
}
