use std::fmt;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use thiserror::Error;

/// The longest name: with what is added, it is the name of a folder.
const MAX_NAME: usize = 64;
/// bwrap takes 9,000 words; a variable is three.
const MAX_VARIABLES: usize = 2_000;
const MAX_MOUNTS: usize = 200;

/// Something of the machine that the job sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it is outside.
    pub from: PathBuf,
    /// Where it is inside.
    pub to: PathBuf,
    /// Whether the job may change it.
    pub writable: bool,
}

/// Whom a job may talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nobody.
    None,
    /// Whoever the caller lets it, through a [`Gateway`].
    Gateway,
}

/// What a job may use. Every limit is for all its processes together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLimits {
    /// Bytes of memory, with what is in `/tmp` and `/dev/shm`.
    pub memory_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
    /// Weight of its share of the processors, 1 to 10,000 (100: usual).
    pub cpu_weight: u64,
    /// Bytes on the disk in the work folder and the writable mounts; also the largest file, also in `/tmp`. They are counted several times a second,
    /// so a fast writer of several files gets somewhat beyond.
    pub disk_bytes: u64,
    /// Files and folders in the work folder and the writable mounts. Folders may be 100 deep.
    pub files: u64,
    /// Bytes in `/tmp`, which is memory and counts there; `/dev/shm` has as many.
    pub tmp_bytes: u64,
    /// How long it may run.
    pub time: Duration,
    /// How long it has after SIGTERM before SIGKILL.
    pub grace: Duration,
}

/// One process to run.
#[derive(Clone)]
pub struct Job {
    /// A name for control groups: letters, digits, `-`, at most 64.
    pub name: String,
    /// The program (as seen inside) and its arguments. Never put a secret here: arguments can be seen.
    pub command: Vec<String>,
    /// The whole environment. It is passed as environment, never as arguments.
    pub environment: Vec<(String, String)>,
    /// The work folder outside; inside it is `/app`, writable, and the current folder.
    pub folder: PathBuf,
    /// What else it sees, beside the base (`/usr`, `/lib*`, `/bin`, parts of `/etc`, `/dev` and `/proc` of its own, an empty `/tmp`).
    pub mounts: Vec<Mount>,
    /// Whom it may talk to.
    pub network: Network,
    /// What it may use.
    pub limits: JobLimits,
}

impl Job {
    /// Says what is wrong with it, if something is.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
        if self.name.is_empty() || self.name.len() > MAX_NAME || !self.name.bytes().all(is_plain) {
            return Err(format!(
                "a job's name has 1 to {MAX_NAME} letters, digits and dashes"
            ));
        }
        if self.command.is_empty() {
            return Err("a job needs a command".to_owned());
        }
        if self.environment.len() > MAX_VARIABLES || self.mounts.len() > MAX_MOUNTS {
            return Err(format!(
                "a job has at most {MAX_VARIABLES} variables and {MAX_MOUNTS} mounts"
            ));
        }
        self.check_words()
    }

    fn check_words(&self) -> Result<(), String> {
        let variables = self.environment.iter().flat_map(|(name, value)| [name, value]);
        if variables.chain(&self.command).any(|word| word.contains('\0')) {
            return Err("a zero byte in a job's command or environment".to_owned());
        }
        if self
            .environment
            .iter()
            .any(|(name, _)| name.is_empty() || name.contains('='))
        {
            return Err("a variable without a name, or with = in it".to_owned());
        }
        let places = self.mounts.iter().map(|mount| &mount.from).chain([&self.folder]);
        let missing = places
            .into_iter()
            .find(|from| !from.is_absolute() || !from.exists());
        missing.map_or(Ok(()), |from| {
            Err(format!(
                "{} is not there, or not an absolute path",
                from.display()
            ))
        })
    }
}

/// Without the values of the environment, which may be secret.
impl fmt::Debug for Job {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.environment.iter().map(|(name, _)| name).collect();
        formatter
            .debug_struct("Job")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("environment", &names)
            .field("folder", &self.folder)
            .field("mounts", &self.mounts)
            .field("network", &self.network)
            .field("limits", &self.limits)
            .finish()
    }
}

/// Where the connections of a job arrive. The sockets are in the job's network and usable from here.
#[derive(Debug)]
pub struct Gateway {
    /// Every TCP connection that the job makes, to whatever IPv4 address and port but 53, and but its own 127.0.0.0/8: `SO_ORIGINAL_DST` of an accepted one tells which. Over
    /// IPv6 there is no way.
    pub connections: TcpListener,
    /// Every datagram to port 53. Other datagrams go nowhere.
    pub names: UdpSocket,
    /// TCP connections to port 53.
    pub names_tcp: TcpListener,
    /// Where `names` can be reached inside: what `/etc/resolv.conf` says.
    pub resolver: SocketAddr,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that nobody here sent. Exit codes from 129 to 192 are taken for one, as shells do.
    Signalled(i32),
    /// The kernel killed it for memory.
    OutOfMemory,
    /// Its time was over.
    TimedOut,
    /// It wrote more than it may.
    DiskFull,
    /// [`Stopper::stop`] was called.
    Stopped,
    /// It could not be started, for instance because there is no such program; standard error has the details.
    NotStarted(String),
}

/// What a job used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From start to end.
    pub wall: Duration,
    /// Of all its processes; 0 where the machine does not tell.
    pub cpu: Duration,
    /// The most memory at one time, in bytes; 0 where the machine does not tell.
    pub peak_memory_bytes: u64,
    /// The most bytes that were seen in the work folder and the writable mounts.
    pub disk_bytes: u64,
    /// The limit of processes was hit this often.
    pub refused_processes: u64,
}

/// A job that runs. Dropped without [`Running::wait`], it is stopped.
pub struct Running {
    /// What it writes to standard output.
    pub stdout: Option<OwnedFd>,
    /// What it writes to standard error.
    pub stderr: Option<OwnedFd>,
    /// Where its connections arrive, for [`Network::Gateway`].
    pub gateway: Option<Gateway>,
    pub(crate) supervisor: Supervisor,
}

impl Running {
    /// A handle that stops the job from anywhere: SIGTERM to all its processes, after the grace SIGKILL.
    pub fn stopper(&self) -> Stopper {
        self.supervisor.stopper.clone()
    }

    /// Waits (blocking) until every process of the job is gone, its control groups are removed and its folders are the caller's again. Streams
    /// that nobody took are closed.
    pub fn wait(self) -> (Ended, Usage) {
        let Self { supervisor, .. } = self;
        supervisor.join()
    }
}

/// The thread that watches a job.
pub(crate) struct Supervisor {
    pub(crate) stopper: Stopper,
    pub(crate) thread: Option<JoinHandle<(Ended, Usage)>>,
}

impl Supervisor {
    fn join(mut self) -> (Ended, Usage) {
        let joined = self.thread.take().map(JoinHandle::join);
        let result = joined.expect("only this, which consumes it, takes the thread");
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.stopper.stop();
        }
    }
}

/// Stops a job.
#[derive(Clone)]
pub struct Stopper {
    /// An eventfd that the supervisor waits on.
    pub(crate) event: Arc<OwnedFd>,
}

impl Stopper {
    /// Stops it, at whatever stage it is. More than once is like once.
    pub fn stop(&self) {
        // It fails only when the counter overflows: then it is set already.
        let _ = rustix::io::write(&*self.event, &1_u64.to_ne_bytes());
    }
}

/// Why a job could not be started.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The machine cannot give a limit that the options require.
    #[error("{0}")]
    Lacks(String),
    /// Something else went wrong.
    #[error("the sandbox could not be made: {what}")]
    Failed {
        /// What.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}
