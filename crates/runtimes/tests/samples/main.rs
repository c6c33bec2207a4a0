//! The sample scrapers of every language, with its library and with SQLite alone, on the sample site: the same rows, and a second run changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use runtimes::Runtimes;
use rusqlite::Connection;
use tests::{Answer, Bench, Need, Request, Site};

const RUBY: &[Need] = &[Need::Output("ruby", &["-rsqlite3", "-e", "puts 1"])];
const PHP: &[Need] = &[Need::Output(
    "php",
    &[
        "-r",
        "echo class_exists('DOMXPath') && function_exists('curl_init') && class_exists('SQLite3');",
    ],
)];
const PERL: &[Need] = &[Need::Output(
    "perl",
    &[
        "-MDatabase::DumpTruck",
        "-MLWP",
        "-MHTML::TreeBuilder",
        "-e",
        "print 1",
    ],
)];
const NODE: &[Need] = &[Need::Program("node"), Need::Program("python3")];
const SAMPLES: [(&str, &[Need]); 10] = [
    ("python", &[Need::Program("python3")]),
    ("python-plain", &[Need::Program("python3")]),
    ("ruby", RUBY),
    ("ruby-plain", RUBY),
    ("php", PHP),
    ("php-plain", PHP),
    ("perl", PERL),
    ("perl-plain", PERL),
    ("node", NODE),
    ("node-plain", NODE),
];

static MACHINE: LazyLock<Runtimes> = LazyLock::new(Runtimes::installed);

fn main() -> ExitCode {
    let mut bench = Bench::default();
    for (name, needs) in SAMPLES {
        bench.test(format!("sample: {name}, twice"), needs, move || twice(name));
    }
    bench.run()
}

fn twice(name: &str) -> Result<()> {
    let site = Site::serve(answer)?;
    let (work, shims) = (tempfile::tempdir()?, tempfile::tempdir()?);
    MACHINE.unpack(shims.path())?;
    copy(&samples().join(name), work.path())?;

    let printed = run(work.path(), shims.path(), &site.url("127.0.0.1", ""))?;
    ensure!(printed.contains("/applications/2026-107.html"), "{printed}");
    let expected = fs::read_to_string(samples().join("expected.tsv"))?;
    let (rows, rowids) = data(work.path())?;
    ensure!(rows == expected, "{rows}");

    let again = run(work.path(), shims.path(), &site.url("127.0.0.1", ""))?;
    ensure!(printed == again, "{again}");
    let (rows, same) = data(work.path())?;
    ensure!(rows == expected, "{rows}");
    // Plain SQLite replaces; libraries update in place.
    ensure!(
        name.ends_with("-plain") || name == "perl" || rowids == same,
        "{rowids:?}, {same:?}"
    );
    Ok(())
}

fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/scrapers")
}

/// Files of the site. That they are UTF-8 only the pages say.
fn answer(request: &Request) -> Answer {
    let path = if request.path == "/" {
        "/index.html"
    } else {
        &request.path
    };
    match fs::read(samples().join("site").join(path.trim_start_matches('/'))) {
        Ok(page) => Answer::bytes("text/html", page),
        Err(_) => Answer::status(404),
    }
}

/// Runs the scraper in `work` as its plan says, but that the shims are elsewhere; returns the lines that it prints, sorted.
fn run(work: &Path, shims: &Path, site: &str) -> Result<String> {
    let plan = MACHINE.detect(work)?;
    let here = |word: &String| word.replace("/shims", &shims.display().to_string());
    let words: Vec<String> = plan.run.iter().map(here).collect();
    let (program, arguments) = words.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(plan.environment.iter().map(|(name, value)| (name, here(value))))
        .envs([("LANG", "C.UTF-8"), ("MORPH_SITE", site)])
        .current_dir(work)
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && errors.is_empty(),
        "{}: {errors}",
        output.status
    );
    let printed = String::from_utf8(output.stdout)?.replace(site, "");
    // Some read several pages at a time.
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    Ok(lines.join("\n"))
}

/// The rows as lines, and their rowids.
fn data(work: &Path) -> Result<(String, Vec<i64>)> {
    let database = Connection::open(work.join("data.sqlite"))?;
    let mut statement = database
        .prepare("SELECT rowid, id, address, received, description, cost, decided FROM data ORDER BY id")?;
    let rows = statement.query_map([], |row| {
        let (id, address, received): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (description, cost, decided): (String, f64, i64) = (row.get(4)?, row.get(5)?, row.get(6)?);
        let line = format!("{id}\t{address}\t{received}\t{description}\t{cost:?}\t{decided}\n");
        Ok((line, row.get::<_, i64>(0)?))
    })?;
    rows.collect::<Result<(String, Vec<i64>), _>>()
        .context("the data")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
