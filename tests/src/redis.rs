use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{trials, wait};

/// A real Redis on a free port of 127.0.0.1; ends when dropped.
pub struct Redis {
    process: Child,
    port: u16,
    settings: Vec<String>,
    folder: TempDir,
}

impl Redis {
    /// Starts a server that holds nothing, with `settings` like `--appendonly yes`.
    pub fn start(settings: &[&str]) -> Result<Self> {
        let folder = TempDir::with_prefix("haul-redis-")?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let process = spawn(folder.path(), port, &settings)?;
        let server = Self {
            process,
            port,
            settings,
            folder,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The address of its database 0.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Kills it and starts it again on the same port, with what is on its disk.
    pub fn crash(&mut self) -> Result<()> {
        self.end();
        self.process = spawn(self.folder.path(), self.port, &self.settings)?;
        self.wait_until_ready()
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    fn wait_until_ready(&self) -> Result<()> {
        wait::until("Redis", Duration::from_secs(30), || {
            Ok(answers(self.port).then_some(()))
        })
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(folder: &Path, port: u16, settings: &[String]) -> Result<Child> {
    let log = fs::File::create(folder.join("log"))?;
    let mut command = Command::new(trials::program("redis-server")?);
    command
        .args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--port",
            &port.to_string(),
            "--dir",
        ])
        .arg(folder)
        .args(settings.iter().flat_map(|setting| setting.split(' ')))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().context("cannot start Redis")
}

/// While it still loads it answers otherwise.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(2)))?;
        connection.write_all(b"PING\r\n")?;
        let mut answer = [0; 7];
        connection.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer == *b"+PONG\r\n")
}
