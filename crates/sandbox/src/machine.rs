use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::groups::{self, Controls, Group, Version};
use crate::job::{Ended, Job, Network, Running, SandboxError, Stopper, Supervisor, Usage};
use crate::launch::{Failure, Streams, launch};
use crate::owner::Owner;
use crate::reaper::Reaper;
use crate::supervise::supervise;
use crate::{trial, uids};

const DELEGATE: &str = "run haul as root or as a systemd service with Delegate=yes, or by hand: \
    systemd-run --user --scope -p Delegate=yes haul ...";

/// What containing needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ability {
    /// `bwrap` and the namespaces that it makes. No job is started without.
    Namespaces,
    /// A limit of memory for all processes together, and the word that it was hit. Without, each process has the limit for its own data.
    Memory,
    /// A limit of processes. Without, the kernel's limit for the job's user holds, and nothing counts how often it was hit.
    Processes,
    /// A share of the processors.
    Cpu,
    /// A network that leads only to the gateway (nftables). Without, a job has no network.
    Gateway,
    /// The filter of system calls.
    Seccomp,
}

/// Something that this machine cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What.
    pub ability: Ability,
    /// Why, and what to do: which package to install, what to ask the administrator.
    pub reason: String,
}

/// How jobs are contained.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// The program (an absolute path) and arguments that call [`contain`](crate::contain()).
    pub contain: Vec<OsString>,
    /// When this process is root: the first of 1,000 user ids that jobs get, each its own while it runs. No account may have one of them.
    pub first_uid: u32,
    /// Abilities that may be missing; a job is started without.
    pub accept_lacks: Vec<Ability>,
}

/// Where jobs can be started. Clones are the same sandbox.
#[derive(Clone)]
pub struct Sandbox {
    machine: Option<Arc<Machine>>,
    lacks: Arc<[Lack]>,
    accepted: Arc<[Ability]>,
}

impl Sandbox {
    /// Looks what this machine can do, by doing it once, and removes what a killed process of ours left (control groups whose owner is gone,
    /// and whatever is still in them).
    pub fn detect(options: SandboxOptions) -> Self {
        let accepted = options.accept_lacks.clone().into();
        let (machine, mut lacks) = Machine::new(options).map_or_else(|lack| (None, vec![lack]), trial::run);
        lacks.extend(machine.iter().flat_map(Machine::uncontrolled));
        lacks.sort_by_key(|lack| lack.ability);
        Self {
            machine: machine.map(Arc::new),
            lacks: lacks.into(),
            accepted,
        }
    }

    /// What this machine cannot do.
    pub fn lacks(&self) -> &[Lack] {
        &self.lacks
    }

    /// Starts a job, which dies when this process does. Returns when it is contained, some ten milliseconds later (blocking).
    ///
    /// When this process is root, the job has a user id of its own, and its folder and writable mounts, with all that is in them, belong to that
    /// user until the job is over; then they are again whose the folder was. So there must be no hard links in them to files elsewhere.
    ///
    /// # Errors
    ///
    /// When the machine lacks an ability that was not accepted, the job is malformed, or a process cannot be made.
    pub fn start(&self, job: Job) -> Result<Running, SandboxError> {
        self.check_abilities(&job)?;
        job.check().map_err(|what| SandboxError::Failed {
            what,
            source: io::ErrorKind::InvalidInput.into(),
        })?;
        let Some(machine) = self.machine.clone() else {
            return Err(SandboxError::Lacks("this machine cannot contain jobs".to_owned()));
        };
        start(machine, job).map_err(|failure| SandboxError::Failed {
            what: failure.what,
            source: failure.source,
        })
    }

    fn check_abilities(&self, job: &Job) -> Result<(), SandboxError> {
        let needed = self.lacks.iter().find(|lack| match lack.ability {
            Ability::Namespaces => true,
            Ability::Gateway => job.network == Network::Gateway && !self.accepted.contains(&lack.ability),
            other => !self.accepted.contains(&other),
        });
        needed.map_or(Ok(()), |lack| Err(SandboxError::Lacks(lack.reason.clone())))
    }
}

/// What jobs are started with.
pub(crate) struct Machine {
    pub(crate) contain: Vec<OsString>,
    pub(crate) bwrap: PathBuf,
    /// Where jobs get user ids of their own.
    pub(crate) first_uid: Option<u32>,
    pub(crate) gateway: bool,
    pub(crate) seccomp: bool,
    pub(crate) reaper: Arc<Reaper>,
    /// Control groups, or why there are none.
    pub(crate) groups: Result<Arc<dyn Version>, String>,
    owner: String,
    started: AtomicU64,
}

impl Machine {
    /// Gets everything ready, and removes what is left of workers that are gone.
    fn new(options: SandboxOptions) -> Result<Self, Lack> {
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

    pub(crate) fn controls(&self) -> Controls {
        self.groups
            .as_ref()
            .map(|groups| groups.controls())
            .unwrap_or_default()
    }

    /// What no control group limits.
    fn uncontrolled(&self) -> Vec<Lack> {
        let controls = self.controls();
        let why = self
            .groups
            .as_ref()
            .err()
            .map_or("the control groups here do not limit it", String::as_str);
        let abilities = [
            (controls.memory, Ability::Memory, "memory"),
            (controls.processes, Ability::Processes, "the number of processes"),
            (controls.cpu, Ability::Cpu, "the share of the processors"),
        ];
        let missing = abilities.into_iter().filter(|(is_there, ..)| !is_there);
        let lack = |(_, ability, what)| Lack {
            ability,
            reason: format!("{what} cannot be limited: {why}; {DELEGATE}"),
        };
        missing.map(lack).collect()
    }

    /// Makes the control group of a job, where there are any.
    pub(crate) fn group(&self, job: &Job) -> io::Result<Option<Group>> {
        let Ok(groups) = self.groups.clone() else {
            return Ok(None);
        };
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}-{}", self.owner, job.name);
        Group::new(groups, name, &job.limits).map(Some)
    }
}

/// Starts a job on a thread of its own, which lives as long as the job.
pub(crate) fn start(machine: Arc<Machine>, job: Job) -> Result<Running, Failure> {
    let failed = |source| Failure {
        ability: None,
        what: "starting a thread".to_owned(),
        source,
    };
    let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let stopper = Stopper {
        event: Arc::new(event),
    };
    let (sender, started) = mpsc::sync_channel(1);
    let stop = stopper.clone();
    let thread = thread::Builder::new()
        .name("sandbox".to_owned())
        .spawn(move || run(&machine, &job, &stop, &sender))
        .map_err(failed)?;
    let answer = started
        .recv()
        .unwrap_or_else(|error| Err(failed(io::Error::other(error))));
    let streams = match answer {
        Ok(streams) => streams,
        Err(failure) => {
            // It has nothing more to do; when it panicked, the failure says so.
            let _ = thread.join();
            return Err(failure);
        }
    };
    Ok(Running {
        stdout: Some(streams.stdout),
        stderr: Some(streams.stderr),
        gateway: streams.gateway,
        supervisor: Supervisor {
            stopper,
            thread: Some(thread),
        },
    })
}

fn run(
    machine: &Machine,
    job: &Job,
    stop: &Stopper,
    started: &mpsc::SyncSender<Result<Streams, Failure>>,
) -> (Ended, Usage) {
    let never = |what: &str| (Ended::NotStarted(what.to_owned()), Usage::default());
    match launch(machine, job) {
        Ok((launched, streams)) => match started.send(Ok(streams)) {
            Ok(()) => supervise(launched, &job.limits, &stop.event),
            Err(_) => never("nobody waited for it"),
        },
        Err(failure) => {
            // Whoever waits for the start gets this, or has gone.
            let _ = started.send(Err(failure));
            never("it could not be contained")
        }
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
