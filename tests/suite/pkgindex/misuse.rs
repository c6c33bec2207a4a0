//! What goes wrong around a server: it says what to do, ends with the documented code, and harms nothing.

use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use tests::{Bench, Ended, Haul, Need, PackageIndex, Postgres};

pub(crate) fn add(bench: &mut Bench) {
    bench.test("pkgindex: a port that is in use", &[], port_in_use);
    bench.test("pkgindex: a folder that cannot be made", &[], unusable_folder);
    bench.test("pkgindex: a store that another server has", &[], store_in_use);
    bench.test("pkgindex: what is no store", &[], no_store);
    bench.test("pkgindex: nobody answers", &[], nobody_answers);
    bench.test("pkgindex: a log with a changed byte", &[], damaged_log);
    bench.test(
        "pkgindex: the password of a database is nowhere to be seen",
        &[Need::Postgres],
        password,
    );
    bench.test(
        "pkgindex: the password of a database that is not there",
        &[],
        password_of_nobody,
    );
}

fn serve(haul: &Haul, more: &[&str]) -> Result<Ended> {
    let mut words = vec!["pkgindex", "serve", "--http", "none"];
    words.extend(more);
    haul.run(&words)
}

fn refused(ended: &Ended, code: i32, said: &[&str]) -> Result<()> {
    ensure!(
        ended.code == Some(code) && !ended.stderr.contains("panicked"),
        "{ended:#?}"
    );
    ended.says(said)
}

fn port_in_use() -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "memory")?;
    let taken = server.commands().to_string();
    let ended = serve(&haul, &["--store", "log:other", "--tcp", &taken])?;
    refused(&ended, 1, &[&taken, "in use"])?;
    let http = server.questions().to_string();
    let ended = haul.run(&[
        "pkgindex",
        "serve",
        "--store",
        "log:other",
        "--tcp",
        "127.0.0.1:0",
        "--http",
        &http,
    ])?;
    refused(&ended, 1, &[&http, "in use"])?;
    ensure!(!haul.folder().join("other").exists(), "a store was made");
    Ok(())
}

fn unusable_folder() -> Result<()> {
    let haul = Haul::new()?;
    for kind in ["log", "shared-disk"] {
        for folder in ["/proc/index", "/dev/null/index"] {
            let store = format!("{kind}:{folder}");
            let ended = serve(&haul, &["--tcp", "127.0.0.1:0", "--store", &store])?;
            refused(&ended, 1, &[folder])?;
        }
    }
    Ok(())
}

fn store_in_use() -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "log:index")?;
    server.tell("INDEX|a|\n")?;
    let what_to_do = ["in use by another server", "stop that one"];
    let ended = serve(&haul, &["--tcp", "127.0.0.1:0", "--store", "log:index"])?;
    refused(&ended, 4, &what_to_do)?;
    for (action, more) in [("check", &[][..]), ("dump", &[]), ("query", &["orphans"])] {
        let mut words = vec!["pkgindex", action, "--store", "log:index"];
        words.extend(more);
        refused(&haul.run(&words)?, 4, &what_to_do)?;
    }
    ensure!(
        server.tell("QUERY|a|\n")? == ["OK"],
        "the first server is disturbed"
    );
    server.stop()
}

fn no_store() -> Result<()> {
    let haul = Haul::new()?;
    for store in [
        "",
        "log",
        "disk:index",
        "mysql://root:secret@127.0.0.1/db",
        "LOG:index",
    ] {
        let ended = serve(&haul, &["--tcp", "127.0.0.1:0", "--store", store])?;
        refused(&ended, 2, &["no such store", "log:FOLDER", "shared-disk:FOLDER"])?;
        ensure!(!ended.stderr.contains("secret"), "{ended:#?}");
    }
    for words in [
        ["--durability", "often"],
        ["--cycles", "no"],
        ["--tcp", "localhost"],
        ["--max-line", "0"],
    ] {
        refused(&serve(&haul, &words)?, 2, &[words[0]])?;
    }
    Ok(())
}

fn nobody_answers() -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "memory")?;
    let url = server.url();
    server.stop()?;
    let ended = haul.expect(1, &["pkgindex", "query", "--at", &url, "orphans"])?;
    ended.says(&[
        "no package index answers at",
        "haul pkgindex serve",
        "--at",
        "--store",
    ])
}

fn damaged_log() -> Result<()> {
    let haul = Haul::new()?;
    let server = PackageIndex::start(&haul, "log:index")?;
    let lines: String = (0..500)
        .map(|number| format!("INDEX|package{number}|\n"))
        .collect();
    for line in lines.lines() {
        server.tell(&format!("{line}\n"))?;
    }
    server.stop()?;
    let log = log_file(&haul.folder().join("index"))?;
    let good = fs::read(&log)?;
    let place = find(&good, b"INDEX|package250|").context("the package is not in the log")?;
    let mut file = OpenOptions::new().write(true).open(&log)?;
    file.seek(SeekFrom::Start(place as u64 + 8))?;
    file.write_all(b"X")?;

    let ended = serve(&haul, &["--tcp", "127.0.0.1:0", "--store", "log:index"])?;
    refused(&ended, 1, &["damaged", "haul pkgindex check"])?;
    let checked = haul.expect(1, &["pkgindex", "check", "--store", "log:index"])?;
    let name = log.file_name().context("no name")?.to_string_lossy().into_owned();
    ensure!(checked.stdout.contains(&name), "{checked:#?}");
    let kept = fs::read(&log)?;
    ensure!(kept.len() == good.len(), "what follows the damage was cut off");

    fs::write(&log, good)?;
    let server = PackageIndex::start(&haul, "log:index")?;
    ensure!(server.lines()?.len() == 500, "{:?}", server.lines());
    server.stop()
}

fn log_file(folder: &Path) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            return Ok(path);
        }
    }
    anyhow::bail!("there is no log in {}", folder.display())
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// It is in the environment, which only this user may read.
fn password() -> Result<()> {
    let database = Postgres::start(&[])?;
    let haul = Haul::new()?.with("HAUL_PKGINDEX_STORE", database.url());
    let server = PackageIndex::start_with(&haul, &["-vv"])?;
    server.tell("INDEX|a|\n")?;
    let arguments = fs::read(format!("/proc/{}/cmdline", server.process().id()))?;
    ensure!(
        find(&arguments, b"secret").is_none(),
        "it is in the list of processes"
    );
    ensure!(
        server.ask("/health")?["store"] == "postgres",
        "{:?}",
        server.ask("/health")
    );
    let (metrics, said) = (server.get("/metrics")?, server.process().said()?);
    ensure!(!metrics.contains("secret") && !said.contains("secret"), "{said}");
    // Without the database, too.
    drop(database);
    server.connect()?.send(b"INDEX|b|\n")?;
    let ended = server.kill()?;
    ensure!(!ended.stderr.contains("secret"), "{ended:#?}");
    Ok(())
}

fn password_of_nobody() -> Result<()> {
    let haul = Haul::new()?;
    for kind in ["postgres", "redis"] {
        let store = format!("{kind}://somebody:secret@127.0.0.1:1/0");
        let haul = Haul::new()?.with("HAUL_PKGINDEX_STORE", &store);
        let ended = serve(&haul, &["-vv", "--tcp", "127.0.0.1:0"])?;
        refused(&ended, 1, &["127.0.0.1"])?;
        ensure!(!ended.stderr.contains("secret"), "{ended:#?}");
    }
    for wrong in [
        "postgres://u:secret@[::1/x",
        "redis://u:secret@:x/y",
        "postgres:secret",
    ] {
        let ended = serve(&haul, &["--tcp", "127.0.0.1:0", "--store", wrong])?;
        ensure!(
            matches!(ended.code, Some(1 | 2)) && !ended.stderr.contains("panicked"),
            "{ended:#?}"
        );
        ensure!(!ended.stderr.contains("secret"), "{ended:#?}");
    }
    Ok(())
}
