use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{trials, wait};

/// A real SeaweedFS with an S3 gateway on a free port of 127.0.0.1; ends when dropped. It lets in `key` with `secret`,
/// who may do everything, and `stranger` with `secret`, who may do nothing with any bucket that exists.
pub struct SeaweedFs {
    process: Child,
    ports: Vec<u16>,
    _folder: TempDir,
}

const PORTS: [&str; 8] = [
    "-s3.port",
    "-s3.port.grpc",
    "-master.port",
    "-master.port.grpc",
    "-volume.port",
    "-volume.port.grpc",
    "-filer.port",
    "-filer.port.grpc",
];

impl SeaweedFs {
    /// Starts a server that holds nothing.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("haul-seaweedfs-")?;
        let rights = folder.path().join("rights.json");
        fs::write(&rights, include_str!("../../environments/seaweedfs/rights.json"))?;
        let ports = free_ports()?;
        let log = fs::File::create(folder.path().join("log"))?;
        let mut command = Command::new(program()?);
        command
            .args(["server", "-s3", "-filer", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args([
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-volume.max=20",
                "-master.volumeSizeLimitMB=64",
            ])
            .arg(format!("-dir={}", folder.path().display()))
            .arg(format!("-s3.config={}", rights.display()))
            .args(
                PORTS
                    .iter()
                    .zip(&ports)
                    .map(|(option, port)| format!("{option}={port}")),
            )
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let server = Self {
            process: command.spawn().context("cannot start SeaweedFS")?,
            ports,
            _folder: folder,
        };
        wait::until("SeaweedFS", Duration::from_secs(60), || {
            Ok(answers(server.port()).then_some(()))
        })?;
        Ok(server)
    }

    /// Where the gateway is.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    fn port(&self) -> u16 {
        self.ports[0]
    }
}

impl Drop for SeaweedFs {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // It also listens on sockets that it names by its ports, wherever its data are.
        for port in &self.ports {
            for name in [
                "s3",
                "s3-grpc",
                "master-grpc",
                "volume-grpc",
                "filer",
                "filer-grpc",
            ] {
                let _ = fs::remove_file(format!("/tmp/seaweedfs-{name}-{port}.sock"));
            }
        }
    }
}

/// The server's program: what `RETRIEVE_SEAWEEDFS` names, what `cargo xtask test` has installed, or what is on the path.
pub(crate) fn program() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("RETRIEVE_SEAWEEDFS") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("RETRIEVE_SEAWEEDFS names {}, which is no file", path.display());
        }
        return Ok(path);
    }
    let installed = installed();
    if installed.is_file() {
        return Ok(installed);
    }
    trials::program("weed")
}

/// Below the target directory of the workspace, or of whoever runs this test out of another one.
fn installed() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("environments/seaweedfs/bin/weed")
}

/// Ports that are free now: all are taken at once, so that they differ.
fn free_ports() -> Result<Vec<u16>> {
    let listeners: Vec<_> = PORTS
        .iter()
        .map(|_| TcpListener::bind(("127.0.0.1", 0)))
        .collect::<Result<_, _>>()?;
    let ports = listeners.iter().map(|listener| Ok(listener.local_addr()?.port()));
    ports.collect()
}

/// Whether the gateway asks for a signature, which it does when everything behind it is there.
fn answers(port: u16) -> bool {
    let ask = || {
        let mut connection = TcpStream::connect(("127.0.0.1", port))?;
        connection.set_read_timeout(Some(Duration::from_secs(2)))?;
        connection.write_all(b"GET /haul HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = [0; 12];
        connection.read_exact(&mut answer)?;
        std::io::Result::Ok(answer)
    };
    ask().is_ok_and(|answer| answer.ends_with(b" 403"))
}
