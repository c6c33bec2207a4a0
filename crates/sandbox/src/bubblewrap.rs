//! Jobs in `bwrap`, limited by control groups.

mod launch;
pub(crate) mod reaper;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::backend::{Backend, Contained, Failure, Streams, unlimited};
use crate::groups::{self, Controls, Group, Version};
use crate::job::Job;
use crate::members;
use crate::owner::Owner;
use crate::sandbox::{Ability, Lack, SandboxOptions};
use crate::uids;

use reaper::Reaper;

const DELEGATE: &str = "run haul as root or as a systemd service with Delegate=yes, or by hand: \
    systemd-run --user --scope -p Delegate=yes haul ...";

/// Contains jobs with bwrap and control groups.
pub(crate) struct Bubblewrap {
    contain: Vec<OsString>,
    bwrap: PathBuf,
    /// Where jobs get user ids of their own.
    first_uid: Option<u32>,
    gateway: bool,
    seccomp: bool,
    reaper: Arc<Reaper>,
    /// Control groups, or why there are none.
    groups: Result<Arc<dyn Version>, String>,
    owner: String,
    started: AtomicU64,
}

impl Bubblewrap {
    /// Gets everything ready, and removes what is left of workers that are gone.
    pub(crate) fn new(options: SandboxOptions) -> Result<Self, Lack> {
        let lack = |reason| Lack {
            ability: Ability::Namespaces,
            reason,
        };
        let bwrap = find_program("bwrap")
            .ok_or_else(|| lack("bwrap is not installed: install the package bubblewrap".to_owned()))?;
        let unready =
            |error: io::Error| lack(format!("the reaper of the sandbox cannot be started: {error}"));
        let owner = Owner::new().map_err(unready)?.to_string();
        let groups = groups::find();
        let hierarchies = groups
            .as_ref()
            .map(|groups| groups.hierarchies())
            .unwrap_or_default();
        groups::remove_orphans(&hierarchies);
        end_orphans();
        let reaper = Reaper::start(&options.contain, owner.clone(), hierarchies).map_err(unready)?;
        Ok(Self {
            contain: options.contain,
            bwrap,
            first_uid: uids::can_be_taken(options.first_uid).then_some(options.first_uid),
            gateway: true,
            seccomp: true,
            reaper: Arc::new(reaper),
            groups,
            owner,
            started: AtomicU64::new(0),
        })
    }

    fn controls(&self) -> Controls {
        self.groups
            .as_ref()
            .map(|groups| groups.controls())
            .unwrap_or_default()
    }

    /// Makes the control group of a job, where there are any.
    fn group(&self, job: &Job) -> io::Result<Option<Group>> {
        let Ok(groups) = self.groups.clone() else {
            return Ok(None);
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}-{}", self.owner, job.name);
        Group::new(groups, name, &job.limits).map(Some)
    }
}

/// Kills every bwrap, and so its job, whose worker and reaper are gone: one that was just being made when they were killed was bound to neither.
fn end_orphans() {
    for process in members::everybody() {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        let name = line
            .split(|&byte| byte == 0)
            .next()
            .and_then(|name| str::from_utf8(name).ok());
        if name
            .and_then(Owner::of_group)
            .is_some_and(|owner| owner.is_gone())
        {
            // Somebody else's cannot be killed, and need not be.
            let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
        }
    }
}

impl Backend for Bubblewrap {
    fn launch<'a>(&'a self, job: &Job) -> Result<(Box<dyn Contained + 'a>, Streams), Failure> {
        let (launched, streams) = launch::launch(self, job)?;
        Ok((Box::new(launched), streams))
    }

    fn give_up(&mut self, ability: Ability, reason: &str) -> bool {
        match ability {
            Ability::Gateway => std::mem::replace(&mut self.gateway, false),
            Ability::Seccomp => std::mem::replace(&mut self.seccomp, false),
            Ability::Memory => std::mem::replace(&mut self.groups, Err(reason.to_owned())).is_ok(),
            _ => false,
        }
    }

    fn remedy(&self, ability: Ability) -> Option<&'static str> {
        match ability {
            Ability::Gateway => Some("load the kernel modules nf_tables, nft_chain_nat and nft_redir"),
            Ability::Seccomp => Some("the kernel must be built with CONFIG_SECCOMP_FILTER"),
            Ability::Namespaces => Some(
                "install bubblewrap 0.8 or newer and allow user namespaces: sysctl user.max_user_namespaces=10000, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0, \
                 in a container --security-opt seccomp=unconfined, or run haul outside of one",
            ),
            _ => None,
        }
    }

    fn unlimited(&self) -> Vec<Lack> {
        let why = self
            .groups
            .as_ref()
            .err()
            .map_or("the control groups here do not limit it", String::as_str);
        unlimited(self.controls(), &format!("{why}; {DELEGATE}"))
    }
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/bin").to_owned()]);
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}
