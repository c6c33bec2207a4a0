use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    Controls, Mounted, OWN_PROCESSES, Used, Version, keyed, number, own_group, processes, write_if_there,
};
use crate::job::JobLimits;

/// Where the worker itself goes: a group that hands controllers on must hold no process.
const WORKER: &str = "haul-worker";
/// Where groups are made when the worker's own is shared with others.
const OWN: &str = "haul";
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];

/// Version 2: one hierarchy.
pub(crate) struct Unified {
    folder: PathBuf,
    controls: Controls,
}

impl Unified {
    /// Finds a folder to make groups in: the worker's own group when it was delegated, else a new one in the nearest group above that this
    /// user may change: for root any, for a user of systemd that of the user's manager.
    pub(super) fn find(mounts: &str, own: &str) -> Result<Self, String> {
        let mut mounted = mounts.lines().filter_map(Mounted::parse);
        let mounted = mounted
            .find(|each| each.kind == "cgroup2")
            .ok_or("no control groups are mounted")?;
        let own = mounted.folder(own_group(own, "").ok_or("this process is in no control group")?);
        let above = own
            .ancestors()
            .skip(1)
            .take_while(|each| each.starts_with(mounted.at));
        Self::delegated(&own).or_else(|error| {
            let mut found = above.filter_map(|folder| Self::below(folder).ok());
            found
                .find(|each| each.controls != Controls::default())
                .ok_or(error.to_string())
        })
    }

    /// Uses the worker's own group: moves the worker, who must be alone there, one level down.
    fn delegated(own: &Path) -> io::Result<Self> {
        if let (Some(parent), Some(WORKER)) = (own.parent(), own.file_name().and_then(|name| name.to_str())) {
            return Self::in_folder(parent.to_owned());
        }
        let me = std::process::id().to_string();
        let others = processes(&own.join("cgroup.procs"))
            .into_iter()
            .filter(|each| each.to_string() != me);
        if others.count() > 0 {
            return Err(io::Error::other(
                "this control group is shared with other processes",
            ));
        }
        let worker = own.join(WORKER);
        make(&worker)?;
        fs::write(worker.join("cgroup.procs"), me)?;
        Self::in_folder(own.to_owned())
    }

    fn below(above: &Path) -> io::Result<Self> {
        hand_on(above)?;
        let folder = above.join(OWN);
        make(&folder)?;
        Self::in_folder(folder)
    }

    /// A group that is only read.
    pub(super) fn shown(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            controls: Controls::default(),
        }
    }

    fn in_folder(folder: PathBuf) -> io::Result<Self> {
        let controls = hand_on(&folder)?;
        Ok(Self { folder, controls })
    }
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Lets the groups in a folder have the controllers that it has itself, as far as we use them.
fn hand_on(folder: &Path) -> io::Result<Controls> {
    let available = fs::read_to_string(folder.join("cgroup.controllers"))?;
    let has = |controller: &str| available.split_whitespace().any(|each| each == controller);
    let ours = CONTROLLERS.iter().filter(|controller| has(controller));
    let words: Vec<_> = ours.map(|controller| format!("+{controller}")).collect();
    fs::write(folder.join("cgroup.subtree_control"), words.join(" "))?;
    Ok(Controls {
        memory: has("memory"),
        processes: has("pids"),
        cpu: has("cpu"),
    })
}

impl Version for Unified {
    fn hierarchies(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }

    fn controls(&self) -> Controls {
        self.controls
    }

    fn limit(&self, group: &str, limits: &JobLimits) -> io::Result<()> {
        let file = |name: &str| self.folder.join(group).join(name);
        if self.controls.memory {
            fs::write(file("memory.max"), limits.memory_bytes.to_string())?;
            fs::write(file("memory.oom.group"), "1")?;
            write_if_there(&file("memory.swap.max"), "0")?;
        }
        if self.controls.processes {
            fs::write(
                file("pids.max"),
                limits.processes.saturating_add(OWN_PROCESSES).to_string(),
            )?;
        }
        if self.controls.cpu {
            fs::write(file("cpu.weight"), limits.cpu_weight.clamp(1, 10_000).to_string())?;
        }
        Ok(())
    }

    fn used(&self, group: &str) -> Used {
        let file = |name: &str| self.folder.join(group).join(name);
        Used {
            killed_for_memory: keyed(&file("memory.events"), "oom_kill").unwrap_or(0),
            peak_memory_bytes: number(&file("memory.peak")).unwrap_or(0),
            cpu: Duration::from_micros(keyed(&file("cpu.stat"), "usage_usec").unwrap_or(0)),
            refused_processes: keyed(&file("pids.events"), "max").unwrap_or(0),
        }
    }
}
