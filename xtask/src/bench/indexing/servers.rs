//! The two servers, each in a folder of its own, on the loopback interface, on all cores.

use crate::bench::Bench;
use crate::bench::nginx::free_port;
use crate::bench::running::Running;
use crate::run::on_path;
use anyhow::{Context, Result, ensure};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// Which program answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Program {
    Haul,
    Redis,
}

/// What a crash takes back.
#[derive(Clone, Copy)]
pub(super) enum Durability {
    /// Everything: nothing is written to the disk.
    Off,
    /// Nothing that was answered.
    Always,
}

/// A server with nothing in it yet; it ends when this is dropped.
pub(super) struct Server {
    pub(super) process: Running,
    pub(super) port: u16,
    _folder: TempDir,
}

impl Server {
    /// Starts `program` and waits until it listens.
    pub(super) fn start(program: Program, durability: Durability, bench: &Bench) -> Result<Self> {
        let folder = tempfile::tempdir_in(&bench.material.scratch)?;
        let port = free_port()?;
        let mut command = match program {
            Program::Haul => haul(bench, durability, folder.path(), port),
            Program::Redis => redis(durability, folder.path(), port),
        };
        let (process, _) = start(&mut command, port, bench)?;
        Ok(Self {
            process,
            port,
            _folder: folder,
        })
    }
}

/// An index of ours that answers over HTTP, and a connection for that.
pub(super) fn with_http(bench: &Bench) -> Result<(Running, TcpStream)> {
    let (port, http) = (free_port()?, free_port()?);
    let mut command = Command::new(&bench.haul);
    command.args(["pkgindex", "serve", "--store", "memory"]);
    command.args(["--tcp", &address(port), "--http", &address(http)]);
    start(&mut command, http, bench)
}

fn start(command: &mut Command, port: u16, bench: &Bench) -> Result<(Running, TcpStream)> {
    let log = bench.material.scratch.join("pkgindex.log");
    let mut process = Running::start(command, &log)?;
    let stream = process
        .connect(port)
        .with_context(|| format!("{command:?}: see {}", log.display()))?;
    Ok((process, stream))
}

/// Redis must be there.
pub(super) fn require_redis() -> Result<()> {
    ensure!(
        on_path("redis-server"),
        "redis-server is not installed: apt-get install redis-server"
    );
    Ok(())
}

fn haul(bench: &Bench, durability: Durability, folder: &Path, port: u16) -> Command {
    let mut command = Command::new(&bench.haul);
    command.args(["pkgindex", "serve", "--http", "none", "--tcp", &address(port)]);
    match durability {
        Durability::Off => command.args(["--store", "memory"]),
        Durability::Always => command
            .args(["--durability", "always", "--store"])
            .arg(format!("log:{}", folder.display())),
    };
    command
}

fn redis(durability: Durability, folder: &Path, port: u16) -> Command {
    let mut command = Command::new("redis-server");
    command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", ""]).arg("--dir").arg(folder);
    match durability {
        Durability::Off => command.args(["--appendonly", "no"]),
        Durability::Always => command.args(["--appendonly", "yes", "--appendfsync", "always"]),
    };
    command
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
