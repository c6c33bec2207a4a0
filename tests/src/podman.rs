use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{trials, wait};

/// A real Podman that answers Docker's API on a Unix socket; ends when dropped, with its containers and images. It needs root.
///
/// It runs without systemd and where hard limits cannot be raised, so also in a small virtual machine.
pub struct Podman {
    process: Child,
    folder: TempDir,
}

impl Podman {
    /// Starts one that has no images and no containers.
    pub fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("haul-podman-")?;
        let log = fs::File::create(folder.path().join("log"))?;
        let process = command(folder.path())?
            // Containers that ran out of memory leave a file there.
            .current_dir(folder.path())
            .args(["system", "service", "--time=0"])
            .arg(format!("unix://{}", socket(folder.path()).display()))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot start Podman")?;
        let podman = Self { process, folder };
        wait::until("Podman", Duration::from_secs(60), || {
            Ok(UnixStream::connect(podman.socket()).is_ok().then_some(()))
        })?;
        Ok(podman)
    }

    /// Where it answers.
    pub fn socket(&self) -> PathBuf {
        socket(self.folder.path())
    }

    /// The names of all its containers, also of those that have ended.
    pub fn containers(&self) -> Result<Vec<String>> {
        let output = command(self.folder.path())?
            .args(["ps", "--all", "--format", "{{.Names}}"])
            .output()?;
        let names = String::from_utf8(output.stdout)?;
        Ok(names.lines().map(ToOwned::to_owned).collect())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Removes what is mounted, too; what it cannot remove stays in a folder for temporary files.
        let reset = command(self.folder.path())
            .and_then(|mut command| Ok(command.args(["system", "reset", "--force"]).output()?));
        drop(reset);
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("podman.sock")
}

fn command(folder: &Path) -> Result<Command> {
    let mut command = Command::new(trials::program("podman")?);
    command
        .args([
            "--runtime",
            "runc",
            "--cgroup-manager",
            "cgroupfs",
            "--events-backend",
            "file",
        ])
        .arg("--root")
        .arg(folder.join("storage"))
        .arg("--runroot")
        .arg(folder.join("run"))
        .arg("--tmpdir")
        .arg(folder.join("tmp"));
    Ok(command)
}
