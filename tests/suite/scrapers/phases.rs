//! What a run goes through beside its program: builds, being stopped, data that is refused, neighbours.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::{Bench, Haul, Need, http, wait};

use super::server::{LIMIT, ask, over, set_secret, up};
use super::{SANDBOX, copy, haul, rows, serve};

const SECRET: &str = "not-for-installers";

pub(super) fn add(bench: &mut Bench) {
    let needs = [SANDBOX, Need::Program("python3"), Need::Program("sqlite3")];
    let pip = Need::Output("python3", &["-m", "pip", "--version"]);
    bench.test(
        "scrapers: a build is kept, also by those who have the same, and a broken one is named",
        &[SANDBOX, Need::Program("python3"), pip],
        builds,
    );
    bench.test(
        "scrapers: a build has no secrets and can be stopped",
        &[SANDBOX, Need::Program("node"), Need::Program("npm")],
        builds_are_runs,
    );
    bench.test("scrapers: what was saved before a stop is kept", &needs, stopped);
    bench.test(
        "scrapers: who breaks keeps the last data, and disturbs nobody",
        &needs,
        neighbours,
    );
}

/// A scraper of one file beside what `others` has.
fn scraper(haul: &Haul, name: &str, file: &str, code: &str) -> Result<String> {
    let folder = haul.folder().join(name.replace('/', "-"));
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(file), code)?;
    let folder = folder.display().to_string();
    haul.expect(0, &["scraper", "add", name, &folder])?;
    Ok(folder)
}

/// The smallest wheel (PyPA's binary distribution format): one module, and what pip wants to know.
const WHEEL: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1] + '/greeting-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('greeting.py', 'WORD = \"good day\"\\n')
    about = 'greeting-1.0.dist-info/'
    wheel.writestr(about + 'METADATA', 'Metadata-Version: 2.1\\nName: greeting\\nVersion: 1.0\\n')
    wheel.writestr(about + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(about + 'RECORD', '')
";
const GREETS: &str = "import greeting, scraperwiki\nprint('it says', greeting.WORD)\nscraperwiki.sqlite.save(['id'], {'id': 1})\n";

fn builds() -> Result<()> {
    let haul = haul(&serve()?)?;
    let (running, address) = up(&haul)?;
    let run = |name: &str| over(&address, &ask(&haul, name)?);
    for name in ["o/first", "o/second"] {
        let folder = scraper(&haul, name, "scraper.py", GREETS)?;
        let made = Command::new("python3").args(["-c", WHEEL, &folder]).status()?;
        ensure!(made.success(), "the wheel cannot be made");
        let wheel = "--no-index\n./greeting-1.0-py3-none-any.whl\n";
        fs::write(Path::new(&folder).join("requirements.txt"), wheel)?;
    }
    for (name, is_built) in [("o/first", true), ("o/first", false), ("o/second", false)] {
        let run = run(name)?;
        ensure!(run["ending"]["outcome"] == "succeeded", "{name}: {run:#}");
        let log = haul
            .expect(0, &["scraper", "log", &run["id"].to_string()])?
            .stdout;
        ensure!(log.contains("it says good day"), "{log}");
        ensure!(
            log.contains("Successfully installed") == is_built,
            "{name}: {log}"
        );
    }
    let broken = scraper(&haul, "o/broken", "scraper.py", GREETS)?;
    fs::write(
        Path::new(&broken).join("requirements.txt"),
        "--no-index\nno-such-package\n",
    )?;
    let run = run("o/broken")?;
    ensure!(run["ending"]["outcome"] == "build_failed", "{run:#}");
    let log = haul
        .expect(0, &["scraper", "log", &run["id"].to_string()])?
        .stdout;
    ensure!(log.contains("no-such-package"), "{log}");
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

/// npm shows what an installer's script wrote when the script fails.
fn builds_are_runs() -> Result<()> {
    let haul = haul(&serve()?)?;
    let (running, address) = up(&haul)?;
    let with_script = |name: &str, script: &str| -> Result<()> {
        let folder = scraper(&haul, name, "scraper.js", "")?;
        let package = serde_json::json!({ "name": "x", "scripts": { "preinstall": script } });
        fs::write(Path::new(&folder).join("package.json"), package.to_string())?;
        set_secret(&haul, name, "MORPH_TOKEN", SECRET)
    };
    with_script("o/shows", "env >&2; echo MORPH has $MORPH_TOKEN. >&2; exit 3")?;
    let shown = over(&address, &ask(&haul, "o/shows")?)?;
    ensure!(shown["ending"]["outcome"] == "build_failed", "{shown:#}");
    let log = haul
        .expect(0, &["scraper", "log", &shown["id"].to_string()])?
        .stdout;
    ensure!(
        log.contains("MORPH has .") && !log.contains("MORPH_TOKEN="),
        "{log}"
    );

    with_script("o/slow", "sleep 60")?;
    let run = ask(&haul, "o/slow")?;
    wait::until("the build to begin", LIMIT, || {
        let run = http::get_json(&address, &format!("/api/v1/runs/{run}"))?;
        Ok((run["phase"] == "building").then_some(()))
    })?;
    haul.expect(0, &["scraper", "stop", &run])?;
    let stopped = over(&address, &run)?;
    ensure!(stopped["ending"]["outcome"] == "stopped", "{stopped:#}");
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

fn stopped() -> Result<()> {
    let haul = haul(&serve()?)?;
    let code = "import scraperwiki, time\nscraperwiki.sqlite.save(['id'], {'id': 1})\nprint('saved', flush=True)\ntime.sleep(60)\n";
    scraper(&haul, "o/long", "scraper.py", code)?;
    let (running, address) = up(&haul)?;
    let run = ask(&haul, "o/long")?;
    wait::until("the row to be saved", LIMIT, || {
        let log = http::get(&address, &format!("/api/v1/runs/{run}/log"))?;
        Ok(log.contains("saved").then_some(()))
    })?;
    haul.expect(0, &["scraper", "stop", &run])?;
    let run = over(&address, &run)?;
    ensure!(run["ending"]["outcome"] == "stopped", "{run:#}");
    ensure!(run["ending"]["changes"]["data"]["added"] == 1, "{run:#}");
    ensure!(saved(&haul, "o/long")? == "1", "the row is gone");
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}

/// The ids in the newest version of a scraper's data.
fn saved(haul: &Haul, scraper: &str) -> Result<String> {
    let file = haul.folder().join("saved.sqlite");
    haul.expect(
        0,
        &["scraper", "data", scraper, "-o", &file.display().to_string()],
    )?;
    let ids = rows(&file, "select group_concat(id) from data")?;
    fs::remove_file(file)?;
    Ok(ids.trim().to_owned())
}

/// One breaks its data, one wants all memory, one does its work meanwhile.
fn neighbours() -> Result<()> {
    let haul = haul(&serve()?)?;
    let save = "import scraperwiki, time\nscraperwiki.sqlite.save(['id'], {'id': 7})\n";
    let folder = scraper(&haul, "o/breaks", "scraper.py", save)?;
    let calm = format!("{save}for n in range(20):\n    time.sleep(0.1)\n    print(n, flush=True)\n");
    scraper(&haul, "o/calm", "scraper.py", &calm)?;
    let bomb = copy(&haul, "hostile/memory-bomb")?.display().to_string();
    haul.expect(0, &["scraper", "add", "p/bomb", &bomb, "--memory-mib", "96"])?;
    let (running, address) = up(&haul)?;
    let first = over(&address, &ask(&haul, "o/breaks")?)?;
    ensure!(first["ending"]["outcome"] == "succeeded", "{first:#}");

    fs::write(
        Path::new(&folder).join("scraper.py"),
        "open('data.sqlite', 'wb').write(b'nothing of the kind' * 1000)\n",
    )?;
    let runs = ["o/calm", "o/breaks", "p/bomb"].map(|scraper| ask(&haul, scraper));
    let [calm, breaks, bomb] = runs.map(|run| over(&address, &run?));
    for (run, outcome) in [
        (calm?, "succeeded"),
        (breaks?, "failed"),
        (bomb?, "out_of_memory"),
    ] {
        ensure!(run["ending"]["outcome"] == outcome, "{run:#}");
    }
    ensure!(saved(&haul, "o/breaks")? == "7", "the last data is gone");
    let page = http::get(&address, "/scrapers/o/breaks")?;
    ensure!(
        page.contains("damaged"),
        "the page does not say what happened: {page}"
    );
    let page = http::get(&address, "/scrapers/p/bomb").context("the page of the bomb")?;
    ensure!(page.contains("memory"), "{page}");
    ensure!(running.interrupt()?.code == Some(0));
    Ok(())
}
