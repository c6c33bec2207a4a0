use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Controls, Mounted, OWN_PROCESSES, Used, Version, keyed, number, own_group, write_if_there};
use crate::job::JobLimits;

/// The share of a group with the usual weight of 100.
const USUAL_SHARES: u64 = 1024;

/// Version 1: a hierarchy for each controller. Groups are made below the worker's own.
#[derive(Default)]
pub(crate) struct Legacy {
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
    cpuacct: Option<PathBuf>,
}

impl Legacy {
    /// Reads where the hierarchies are. One in which this process may make no group is left out.
    pub(super) fn find(mounts: &str, own: &str) -> Self {
        let hierarchy = |controller: &str| {
            let mut mounted = mounts
                .lines()
                .filter_map(Mounted::parse)
                .filter(|each| each.kind == "cgroup");
            let mounted = mounted.find(|each| each.options.split(',').any(|option| option == controller))?;
            let folder = mounted.folder(own_group(own, controller)?);
            may_make_groups(&folder).then_some(folder)
        };
        Self {
            memory: hierarchy("memory"),
            pids: hierarchy("pids"),
            cpu: hierarchy("cpu"),
            cpuacct: hierarchy("cpuacct"),
        }
    }

    /// The hierarchies in a folder, one below another.
    pub(super) fn shown(in_folder: &Path) -> Self {
        let hierarchy = |controller: &str| Some(in_folder.join(controller)).filter(|folder| folder.is_dir());
        Self {
            memory: hierarchy("memory"),
            pids: hierarchy("pids"),
            cpu: hierarchy("cpu"),
            cpuacct: hierarchy("cpuacct"),
        }
    }
}

fn may_make_groups(folder: &PathBuf) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_ok()
}

impl Version for Legacy {
    fn hierarchies(&self) -> Vec<PathBuf> {
        let mut folders: Vec<_> = [&self.memory, &self.pids, &self.cpu, &self.cpuacct]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        // `cpu` and `cpuacct` are often one, under two names.
        folders.dedup_by_key(|folder| fs::canonicalize(&*folder).unwrap_or_default());
        folders
    }

    fn controls(&self) -> Controls {
        Controls {
            memory: self.memory.is_some(),
            processes: self.pids.is_some(),
            cpu: self.cpu.is_some(),
        }
    }

    fn limit(&self, group: &str, limits: &JobLimits) -> io::Result<()> {
        if let Some(memory) = &self.memory {
            let bytes = limits.memory_bytes.to_string();
            fs::write(memory.join(group).join("memory.limit_in_bytes"), &bytes)?;
            write_if_there(&memory.join(group).join("memory.memsw.limit_in_bytes"), &bytes)?;
        }
        if let Some(pids) = &self.pids {
            let processes = limits.processes.saturating_add(OWN_PROCESSES).to_string();
            fs::write(pids.join(group).join("pids.max"), processes)?;
        }
        if let Some(cpu) = &self.cpu {
            let shares = limits.cpu_weight * USUAL_SHARES / 100;
            fs::write(cpu.join(group).join("cpu.shares"), shares.max(2).to_string())?;
        }
        Ok(())
    }

    fn used(&self, group: &str) -> Used {
        let file = |hierarchy: &Option<PathBuf>, name: &str| {
            hierarchy
                .as_ref()
                .map(|folder| folder.join(group).join(name))
                .unwrap_or_default()
        };
        Used {
            killed_for_memory: keyed(&file(&self.memory, "memory.oom_control"), "oom_kill").unwrap_or(0),
            peak_memory_bytes: number(&file(&self.memory, "memory.max_usage_in_bytes")).unwrap_or(0),
            cpu: Duration::from_nanos(number(&file(&self.cpuacct, "cpuacct.usage")).unwrap_or(0)),
            refused_processes: keyed(&file(&self.pids, "pids.events"), "max").unwrap_or(0),
        }
    }
}
