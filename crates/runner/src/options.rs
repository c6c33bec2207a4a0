use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use egress::Policy;
use registry::Capacity;

/// How runs are made.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// Where code, data and logs of runs lie. One worker has it.
    pub folder: PathBuf,
    /// Where built dependencies are kept.
    pub builds: PathBuf,
    /// What contains jobs.
    pub container: sandbox::Container,
    /// The program and arguments that contain a job ([`sandbox::contain`]).
    pub contain: Vec<OsString>,
    /// What this worker has for runs; no slots: it runs nothing.
    pub capacity: Capacity,
    /// Whom runs may talk to.
    pub policy: Policy,
    /// A cassette that every run is answered from, instead of by the network.
    pub replay: Option<PathBuf>,
    /// Abilities of the sandbox that may be missing.
    pub accept_lacks: Vec<sandbox::Ability>,
    /// How often the queue is looked at; it is also looked at whenever something changes in this process.
    pub interval: Duration,
    /// From SIGTERM to SIGKILL.
    pub grace: Duration,
    /// Bytes of one `data.sqlite` at most.
    pub max_data_bytes: u64,
    /// How long counting the rows that changed may take; without it data is kept all the same.
    pub compare_time: Duration,
    /// Days after which logs and runs are forgotten.
    pub keep_days: u32,
}
