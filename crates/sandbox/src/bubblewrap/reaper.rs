//! The process that outlives a killed worker for a moment, to remove what the kernel does not remove by itself: control groups, and a
//! job that lost its parent just while bwrap was setting itself up.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::SigSet;

use super::launch::contain_command;
use crate::groups;
use crate::members::Members;
use crate::wire::{Remains, Request};

/// How long its start may take, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);
/// What it says when it is ready.
const READY: &[u8] = b"ready";

/// The worker's end. There is one for each sandbox.
pub(crate) struct Reaper {
    process: Child,
    socket: UnixStream,
}

impl Reaper {
    /// Starts it, and waits until no signal but SIGKILL can end it. It ends when this is dropped, or when this process ends.
    pub(crate) fn start(contain: &[OsString], owner: String, hierarchies: Vec<PathBuf>) -> io::Result<Self> {
        let (mut socket, theirs) = UnixStream::pair()?;
        let process = contain_command(contain)?
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let request = Request::Reap(Remains { owner, hierarchies });
        writeln!(socket, "{}", serde_json::to_string(&request)?)?;
        let mut reaper = Self { process, socket };
        reaper.await_ready()?;
        Ok(reaper)
    }

    fn await_ready(&mut self) -> io::Result<()> {
        self.socket.set_read_timeout(Some(PATIENCE))?;
        let answer = self.socket.read_exact(&mut [0; READY.len()]);
        // Some other program, perhaps, that would not end by itself.
        answer.inspect_err(|_| self.process.kill().unwrap_or_default())
    }

    /// Entrusts it with a job, until what comes back is dropped.
    pub(crate) fn watch(self: &Arc<Self>, network: u64) -> io::Result<Watched> {
        self.tell('+', network)?;
        Ok(Watched {
            reaper: Arc::clone(self),
            network,
        })
    }

    fn tell(&self, sign: char, network: u64) -> io::Result<()> {
        (&self.socket).write_all(format!("{sign}{network}\n").as_bytes())
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        // It ends by itself when it reads the end; a failure means that it has ended.
        let _ = self.socket.shutdown(Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// A job that the reaper ends, if this process cannot.
pub(crate) struct Watched {
    reaper: Arc<Reaper>,
    network: u64,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Err(error) = self.reaper.tell('-', self.network) {
            tracing::warn!(%error, "the reaper of this sandbox has ended");
        }
    }
}

/// What the process does. It outlives every signal but SIGKILL, because those who end a worker often signal all its processes.
pub(crate) fn run(mut worker: &UnixStream, lines: impl BufRead, remains: &Remains) -> io::Result<()> {
    SigSet::all().thread_block()?;
    worker.write_all(READY)?;
    for network in unfinished(lines) {
        Members::new(network, None).kill();
    }
    groups::remove_of(&remains.hierarchies, &remains.owner);
    Ok(())
}

/// Reads until the worker is gone; returns the network namespaces of the jobs that it had then.
fn unfinished(lines: impl BufRead) -> HashSet<u64> {
    let mut jobs = HashSet::new();
    for line in lines.lines().map_while(Result::ok) {
        let (sign, network) = line.split_at_checked(1).unwrap_or_default();
        let Ok(network) = network.parse() else { continue };
        match sign {
            "+" => jobs.insert(network),
            _ => jobs.remove(&network),
        };
    }
    jobs
}
