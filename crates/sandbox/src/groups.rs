//! Control groups: one for each job, in each hierarchy that limits or counts something.

mod legacy;
#[cfg(test)]
mod tests;
mod unified;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::job::JobLimits;
use crate::owner::Owner;

pub(crate) use legacy::Legacy;
pub(crate) use unified::Unified;

/// Processes of ours that are in the group beside the job's: bwrap outside and bwrap inside.
const OWN_PROCESSES: u64 = 2;
/// How long the kernel may take to end a group's processes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A version of control groups: which files say what.
pub(crate) trait Version: Send + Sync {
    /// The folders in which groups are made.
    fn hierarchies(&self) -> Vec<PathBuf>;

    /// Whether memory, processes and shares of processors are limited here.
    fn controls(&self) -> Controls;

    /// Writes the limits of a group that exists.
    fn limit(&self, group: &str, limits: &JobLimits) -> io::Result<()>;

    /// What a group used so far.
    fn used(&self, group: &str) -> Used;
}

/// What can be limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Controls {
    pub(crate) memory: bool,
    pub(crate) processes: bool,
    pub(crate) cpu: bool,
}

/// What a group used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Used {
    /// Processes that the kernel killed for memory.
    pub(crate) killed_for_memory: u64,
    pub(crate) peak_memory_bytes: u64,
    pub(crate) cpu: Duration,
    pub(crate) refused_processes: u64,
}

/// The version that this machine has, if any.
pub(crate) fn find() -> Result<Arc<dyn Version>, String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
    let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let legacy = Legacy::find(&mounts, &own);
    if legacy.controls().memory {
        return Ok(Arc::new(legacy));
    }
    Ok(Arc::new(Unified::find(&mounts, &own)?))
}

/// The group of the container that this process is in, as container engines show it: its name is empty.
pub(crate) fn of_container() -> Box<dyn Version> {
    let mounted = Path::new("/sys/fs/cgroup");
    let legacy = Legacy::shown(mounted);
    match legacy.controls().memory {
        true => Box::new(legacy),
        false => Box::new(Unified::shown(mounted)),
    }
}

/// The group of one job. It is removed when dropped, which waits until nothing is in it.
pub(crate) struct Group {
    version: Arc<dyn Version>,
    name: String,
}

impl Group {
    pub(crate) fn new(version: Arc<dyn Version>, name: String, limits: &JobLimits) -> io::Result<Self> {
        let group = Self { version, name };
        for folder in group.folders() {
            fs::create_dir(folder)?;
        }
        group.version.limit(&group.name, limits)?;
        Ok(group)
    }

    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.version
            .hierarchies()
            .into_iter()
            .map(|hierarchy| hierarchy.join(&self.name))
    }

    /// Moves a process in.
    pub(crate) fn add(&self, process: u32) -> io::Result<()> {
        for folder in self.folders() {
            fs::write(folder.join("cgroup.procs"), process.to_string())?;
        }
        Ok(())
    }

    pub(crate) fn used(&self) -> Used {
        self.version.used(&self.name)
    }

    /// Where its processes are listed.
    pub(crate) fn list(&self) -> Option<PathBuf> {
        self.folders().next().map(|folder| folder.join("cgroup.procs"))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for folder in self.folders() {
            remove(&folder);
        }
    }
}

/// Removes the groups whose names begin so.
pub(crate) fn remove_of(hierarchies: &[PathBuf], owner: &str) {
    remove_where(hierarchies, |name| name.starts_with(owner));
}

/// Removes the groups of workers that are gone.
pub(crate) fn remove_orphans(hierarchies: &[PathBuf]) {
    remove_where(hierarchies, |name| {
        Owner::of_group(name).is_some_and(|owner| owner.is_gone())
    });
}

fn remove_where(hierarchies: &[PathBuf], is_remains: impl Fn(&str) -> bool) {
    let entries = hierarchies.iter().filter_map(|folder| fs::read_dir(folder).ok());
    for entry in entries.flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&is_remains) {
            remove(&entry.path());
        }
    }
}

/// Kills whatever is in a group until it can be removed: a group is busy for a moment after its last process.
fn remove(folder: &Path) {
    let give_up = Instant::now() + PATIENCE;
    let mut pause = Duration::from_micros(200);
    loop {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < give_up => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return tracing::warn!(group = %folder.display(), %error, "a control group cannot be removed");
            }
            _ => return,
        }
        for process in processes(&folder.join("cgroup.procs")) {
            // One that has just ended is what we want.
            let _ = kill(process, Signal::SIGKILL);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// The processes that a group lists. Zero stands for one that this namespace cannot name.
pub(crate) fn processes(list: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(list).unwrap_or_default();
    let numbers = text.lines().filter_map(|line| line.parse().ok());
    numbers.filter(|&number| number > 0).map(Pid::from_raw).collect()
}

/// A mounted control group file system: where it is, which part of it that is, its kind and options.
struct Mounted<'a> {
    root: &'a str,
    at: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mounted<'a> {
    /// A line of `/proc/self/mountinfo` (see proc_pid_mountinfo(5)).
    fn parse(line: &'a str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, at) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?, after.nth(1)?);
        Some(Self {
            root,
            at,
            kind,
            options,
        })
    }

    /// Where a group of `/proc/self/cgroup` is in it.
    fn folder(&self, group: &str) -> PathBuf {
        let below = Path::new(group)
            .strip_prefix(self.root)
            .or_else(|_| Path::new(group).strip_prefix("/"));
        Path::new(self.at).join(below.unwrap_or(Path::new("")))
    }
}

/// The group that a controller (none: the unified hierarchy) says this process is in, from `/proc/self/cgroup`.
fn own_group<'a>(own: &'a str, controller: &str) -> Option<&'a str> {
    own.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let controllers = parts.nth(1)?;
        controllers
            .split(',')
            .any(|each| each == controller)
            .then(|| parts.next())?
    })
}

/// A number in a file; nothing where it is not there or says "max".
fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// A number behind its key, in a file of lines "key number".
fn keyed(file: &Path, key: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
    pairs.find(|(each, _)| *each == key)?.1.trim().parse().ok()
}

/// Writes where there is such a file: a kernel without swap accounting has none for it.
fn write_if_there(file: &Path, value: &str) -> io::Result<()> {
    match file.exists() {
        true => fs::write(file, value),
        false => Ok(()),
    }
}
