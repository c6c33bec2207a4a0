use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::Pid;

static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Whose a control group is, as its name begins. The start time tells a process from a later one with the same number, the namespace
/// tells it from one in another container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    namespace: u64,
    process: i32,
    started: u64,
    /// One process may own several sandboxes.
    serial: u64,
}

impl Owner {
    /// This process, with a serial number of its own.
    pub(crate) fn new() -> io::Result<Self> {
        let process = Pid::this().as_raw();
        let started = start_time(process).ok_or(io::ErrorKind::InvalidData)?;
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            namespace: namespace()?,
            process,
            started,
            serial,
        })
    }

    /// Reads it from the name of a group; nothing when that is none of ours.
    pub(crate) fn of_group(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix("haul-")?.splitn(5, '-');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (namespace, process, started, serial) = (number()?, number()?, number()?, number()?);
        Some(Self {
            namespace,
            process: process.try_into().ok()?,
            started,
            serial,
        })
    }

    /// Whether that process is surely gone.
    pub(crate) fn is_gone(&self) -> bool {
        let is_here = namespace().is_ok_and(|here| here == self.namespace);
        is_here && start_time(self.process) != Some(self.started)
    }
}

/// What the names of its groups begin with.
impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            namespace,
            process,
            started,
            serial,
        } = self;
        write!(formatter, "haul-{namespace}-{process}-{started}-{serial}-")
    }
}

fn namespace() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/pid")?.ino())
}

/// The 22nd field of `/proc/PID/stat`, in ticks since the machine started; nothing for a process that is dead. The second field may contain anything, but ends with the last
/// parenthesis.
fn start_time(process: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    let is_dead = fields.next()? == "Z";
    (!is_dead).then(|| fields.nth(18)?.parse().ok())?
}
