//! `haul up` with one scraper, whose program puts a table where its data belongs and does nothing else.

use super::super::Bench;
use super::super::http::Client;
use super::super::nginx::free_port;
use super::super::running::Running;
use crate::run::{must_succeed, output_of};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the scraper is: a copy of its table is its data.
const PROGRAM: &str = "#!/bin/sh\ncp seed.db data.sqlite\n";

/// Makes the table `data`, of as many rows as its first argument says.
const SEED: &str = "import sqlite3, sys
connection = sqlite3.connect('seed.db')
connection.execute('CREATE TABLE data(id INTEGER PRIMARY KEY, name, street, town, status, fee)')
connection.execute('''INSERT INTO data WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?)
    SELECT x, 'Application number ' || x, (x % 200) || ' Example Street', 'Town ' || (x % 500), 'pending', x * 0.25 FROM n''', sys.argv[1:])
connection.commit()
";

/// A server, a connection to it, and its scraper's folder.
pub(super) struct Server {
    pub(super) running: Running,
    pub(super) client: Client,
    /// What reads data with.
    pub(super) key: String,
    folder: TempDir,
}

/// What a run took, by the clock of whoever asked for it and by the server's of its program.
pub(super) struct Run {
    pub(super) all_s: f64,
    pub(super) program_s: f64,
}

impl Server {
    /// A server whose scraper leaves `rows` rows.
    pub(super) fn start(bench: &Bench, rows: u64) -> Result<Self> {
        let folder = tempfile::tempdir_in(&bench.material.scratch)?;
        let (scraper, data) = (folder.path().join("scraper"), folder.path().join("data"));
        make_scraper(&scraper, rows)?;
        let haul = |words: &[&str]| {
            let mut command = Command::new(&bench.haul);
            command.args(words).arg("--data").arg(&data);
            command
        };
        output_of(haul(&["scraper", "add", "bench/rows"]).arg(&scraper))?;
        let key = output_of(&mut haul(&["key", "issue", "bench"]))?;
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let log = bench.material.scratch.join("scraping.log");
        let mut running = Running::start(&mut haul(&["up", "--listen", &listen]), &log)?;
        Ok(Self {
            client: Client::over(running.connect(port)?)?,
            running,
            key: key.trim().to_owned(),
            folder,
        })
    }

    /// The scraper's folder.
    pub(super) fn scraper(&self) -> PathBuf {
        self.folder.path().join("scraper")
    }

    /// Asks for a run and waits until it is over.
    pub(super) fn run(&mut self) -> Result<Run> {
        let asked = Instant::now();
        let answer = self.client.post("/api/v1/scrapers/bench/rows/runs", b"")?;
        let run = serde_json::from_slice::<Value>(&answer)?["run"].to_string();
        let ended = self.ended(&run)?;
        let all_s = asked.elapsed().as_secs_f64();
        let ending = &ended["ending"];
        ensure!(ending["outcome"] == "succeeded", "the run failed: {ending}");
        let program_ms = ending["usage"]["wall_ms"]
            .as_f64()
            .context("a run took no time")?;
        Ok(Run {
            all_s,
            program_s: program_ms / 1000.0,
        })
    }

    fn ended(&mut self, run: &str) -> Result<Value> {
        loop {
            let answer = self.client.get(&format!("/api/v1/runs/{run}"))?;
            let known: Value = serde_json::from_slice(&answer)?;
            if known["phase"] == "finished" {
                return Ok(known);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

fn make_scraper(folder: &Path, rows: u64) -> Result<()> {
    fs::create_dir_all(folder)?;
    let program = folder.join("scraper");
    fs::write(&program, PROGRAM)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    let mut python = Command::new("python3");
    must_succeed(python.args(["-c", SEED, &rows.to_string()]).current_dir(folder))
}
