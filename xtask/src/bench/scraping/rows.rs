//! All rows of a table over HTTP, from `haul up` and from Datasette, which is told to give that many at once: its own way to stream
//! a table, a thousand rows at a time, takes it three times as long.

use super::super::Bench;
use super::super::http::Client;
use super::super::measure::median;
use super::super::nginx::free_port;
use super::super::running::Running;
use super::super::table::{self, Row};
use super::server::Server;
use anyhow::{Result, ensure};
use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const FORMATS: [&str; 2] = ["json", "csv"];

/// What one answer took.
struct Answer {
    wall_s: f64,
    cpu_s: f64,
}

/// What is kept of an answer: enough of its end to see whether the last row came.
#[derive(Default)]
struct End(Vec<u8>);

impl Write for End {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(piece);
        let excess = self.0.len().saturating_sub(256);
        self.0.drain(..excess);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compares both in each format.
pub(super) fn compare(bench: &Bench) -> Result<()> {
    let rows: u64 = if bench.extent.rounds == 1 {
        100_000
    } else {
        1_000_000
    };
    let mut haul = Server::start(bench, rows)?;
    haul.run()?;
    let (datasette, mut peer) = datasette(bench, &haul.scraper().join("seed.db"), rows)?;
    for format in FORMATS {
        let own = format!(
            "/bench/rows/data.{format}?key={}&query=select+*+from+data",
            haul.key
        );
        let theirs = format!("/seed.{format}?_shape=array&sql=select+*+from+data");
        let (mut ours, mut peers) = (Vec::new(), Vec::new());
        for _ in 0..bench.extent.rounds {
            ours.push(ask(&haul.running, &mut haul.client, &own, rows)?);
            peers.push(ask(&datasette, &mut peer, &theirs, rows)?);
        }
        let per_second =
            |answers: &[Answer]| rows as f64 / median(answers.iter().map(|a| a.wall_s).collect());
        let cpu_us =
            |answers: &[Answer]| median(answers.iter().map(|a| a.cpu_s).collect()) * 1e6 / rows as f64;
        let table = [
            Row::more("rows/s", per_second(&ours), per_second(&peers)),
            Row::less("CPU us a row", cpu_us(&ours), cpu_us(&peers)),
            Row::less(
                "memory so far, MiB",
                haul.running.memory_mib()?,
                datasette.memory_mib()?,
            ),
        ];
        table::print(&format!("{rows} rows as {format}"), "datasette", &table);
    }
    Ok(())
}

fn datasette(bench: &Bench, database: &Path, rows: u64) -> Result<(Running, Client)> {
    let port = free_port()?;
    let mut command = Command::new(bench.material.peers.join("datasette"));
    command.args(["serve", "--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--setting", "max_returned_rows", &rows.to_string()]);
    command.args([
        "--setting",
        "sql_time_limit_ms",
        "600000",
        "--setting",
        "max_csv_mb",
        "0",
    ]);
    command.arg("-i").arg(database);
    let mut running = Running::start(&mut command, Path::new("/dev/null"))?;
    let client = Client::over(running.connect(port)?)?;
    Ok((running, client))
}

fn ask(server: &Running, client: &mut Client, target: &str, rows: u64) -> Result<Answer> {
    let (asked, before) = (Instant::now(), server.cpu_s()?);
    let mut end = End::default();
    client.get_into(target, &mut end)?;
    let wall_s = asked.elapsed().as_secs_f64();
    let last = format!("Application number {rows}");
    let end = String::from_utf8_lossy(&end.0).into_owned();
    ensure!(
        end.contains(&last),
        "{target}: the last row is missing; it ends with {end}"
    );
    Ok(Answer {
        wall_s,
        cpu_s: server.cpu_s()? - before,
    })
}
