use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::groups;
use crate::held::living_task;

/// How long the kernel may take to end them.
const PATIENCE: Duration = Duration::from_secs(20);

/// The processes of a job: those in its network namespace, which no process of it can leave, also not by double forks.
#[derive(Clone)]
pub(crate) struct Members {
    /// The namespace's inode.
    network: u64,
    /// A file that lists at least them; without it every process of the machine is looked at.
    list: Option<PathBuf>,
}

impl Members {
    pub(crate) fn new(network: u64, list: Option<PathBuf>) -> Self {
        Self { network, list }
    }

    /// Their process numbers, now.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let all = match &self.list {
            Some(list) => groups::processes(list)
                .into_iter()
                .map(nix::unistd::Pid::as_raw)
                .collect(),
            None => everybody(),
        };
        all.into_iter().filter(|&process| self.has(process)).collect()
    }

    fn has(&self, process: i32) -> bool {
        let namespace = fs::metadata(living_task(process).join("ns/net"));
        namespace.is_ok_and(|namespace| namespace.ino() == self.network)
    }

    /// Sends SIGTERM to all but one.
    pub(crate) fn ask_to_end(&self, except: u32) {
        self.signal(Signal::TERM, |process| u32::try_from(process) != Ok(except));
    }

    /// Kills them until there are none.
    pub(crate) fn kill(&self) {
        let give_up = Instant::now() + PATIENCE;
        let mut pause = Duration::from_micros(200);
        while self.signal(Signal::KILL, |_| true) > 0 {
            if Instant::now() > give_up {
                return tracing::error!(namespace = self.network, "processes of a job cannot be killed");
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Signals those that are chosen; returns how many there were.
    fn signal(&self, signal: Signal, chosen: impl Fn(i32) -> bool) -> usize {
        let processes = self.processes().into_iter().filter(|&process| chosen(process));
        let sent = processes.filter_map(|process| {
            let held = hold(process)?;
            // The number may have gone to another process before we held it.
            self.has(process).then(|| pidfd_send_signal(held, signal).ok())
        });
        sent.count()
    }
}

fn hold(process: i32) -> Option<OwnedFd> {
    pidfd_open(Pid::from_raw(process)?, PidfdFlags::empty()).ok()
}

/// All processes of this machine, now.
pub(crate) fn everybody() -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}
