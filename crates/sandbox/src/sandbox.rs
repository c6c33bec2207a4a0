use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Failure, Streams, naming};
use crate::bubblewrap::Bubblewrap;
use crate::engine::Engine;
use crate::job::{Ended, Job, Network, Running, SandboxError, Stopper, Supervisor, Usage};
use crate::supervise::supervise;
use crate::trial;

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

/// What contains jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Container {
    /// Namespaces made by `bwrap`, limits by control groups. Nothing has to run for it.
    #[default]
    Bubblewrap,
    /// A container engine with Docker's API (Docker, Podman) on this machine. Jobs see the same of the machine as with bubblewrap: `/usr` and parts of `/etc`,
    /// mounted into an image that has nothing else; no image has to be fetched or kept.
    Engine {
        /// The Unix socket of its API, for instance `/var/run/docker.sock`. Whoever may write to it has the rights of the engine, which are often root's.
        socket: PathBuf,
    },
}

/// How jobs are contained.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// What contains them.
    pub container: Container,
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
    backend: Option<Arc<dyn Backend>>,
    lacks: Arc<[Lack]>,
    accepted: Arc<[Ability]>,
}

impl Sandbox {
    /// Looks what this machine can do, by doing it once, and removes what a killed process of ours left (control groups whose owner is gone,
    /// and whatever is still in them).
    pub fn detect(options: SandboxOptions) -> Self {
        let accepted = options.accept_lacks.clone().into();
        let (backend, mut lacks) = match options.container.clone() {
            Container::Bubblewrap => tried(Bubblewrap::new(options)),
            Container::Engine { socket } => tried(Engine::new(&socket, options)),
        };
        lacks.sort_by_key(|lack| lack.ability);
        Self {
            backend,
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
        let Some(backend) = self.backend.clone() else {
            return Err(SandboxError::Lacks("this machine cannot contain jobs".to_owned()));
        };
        start(backend, job).map_err(|failure| SandboxError::Failed {
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

fn tried<B: Backend + 'static>(made: Result<B, Lack>) -> (Option<Arc<dyn Backend>>, Vec<Lack>) {
    match made.map(trial::run) {
        Ok((backend, lacks)) => (
            backend.map(|backend| Arc::new(backend) as Arc<dyn Backend>),
            lacks,
        ),
        Err(lack) => (None, vec![lack]),
    }
}

/// Starts a job on a thread of its own, which lives as long as the job.
pub(crate) fn start(backend: Arc<dyn Backend>, job: Job) -> Result<Running, Failure> {
    let failed = naming("starting a thread");
    let event = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)
        .map_err(|errno| failed(errno.into()))?;
    let stopper = Stopper {
        event: Arc::new(event),
    };
    let (sender, started) = mpsc::sync_channel(1);
    let stop = stopper.clone();
    let thread = thread::Builder::new()
        .name("sandbox".to_owned())
        .spawn(move || run(&*backend, &job, &stop, &sender))
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
    backend: &dyn Backend,
    job: &Job,
    stop: &Stopper,
    started: &mpsc::SyncSender<Result<Streams, Failure>>,
) -> (Ended, Usage) {
    let never = |what: &str| (Ended::NotStarted(what.to_owned()), Usage::default());
    match backend.launch(job) {
        Ok((contained, streams)) => match started.send(Ok(streams)) {
            Ok(()) => supervise(contained, &job.limits, &stop.event),
            Err(_) => never("nobody waited for it"),
        },
        Err(failure) => {
            // Whoever waits for the start gets this, or has gone.
            let _ = started.send(Err(failure));
            never("it could not be contained")
        }
    }
}
