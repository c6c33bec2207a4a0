//! What the worker and [`contain`](crate::contain()) say to each other: lines of JSON over the socket that is its standard input.
//!
//! ```text
//! worker  ──► Request::Contain                    the job
//! contain ──► Report::Ready (and three sockets)   or Report::Failed
//! worker  ──► "go"                                the reaper knows the job from now on
//! bwrap   ──► {"exit-code": 0}                    contain has become bwrap; the socket is its status
//! ```
//!
//! In a container, where the engine does what bwrap does, `contain` is the first process and stays. It connects to the worker's socket, which is
//! mounted there.
//!
//! ```text
//! worker  ──► Request::Guard (and two pipes)      the job, and where its output goes
//! contain ──► Report::Ready (and three sockets)   or Report::Failed
//! worker  ──► "go"
//! contain ──► Request::Become                     to a second process of contain, which becomes the job
//! worker  ──► "t"                                 SIGTERM to all; the end of the stream: SIGKILL
//! contain ──► Farewell                            the job has ended
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::groups::{Controls, Used};
use crate::job::{Job, Network};
use crate::sandbox::Ability;

/// The word to go.
pub(crate) const GO: &[u8; 3] = b"go\n";

/// What one process of `contain` is for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    /// Become this job, in bwrap.
    Contain(Box<Order>, Tree),
    /// Be the first process of a container, and guard this job.
    Guard(Box<Order>),
    /// Become this job, in a container.
    Become(Box<Order>),
    /// Wait until standard input ends, then remove what is left.
    Reap(Remains),
}

/// All that is needed to become a job. It has no `Debug`, because it holds the environment.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// The user id to take, when started by root.
    pub(crate) uid: Option<u32>,
    pub(crate) gateway: bool,
    pub(crate) seccomp: bool,
    pub(crate) limits: ProcessLimits,
}

impl Order {
    /// What a job asks for, where it can be had. What no control group limits, each process is limited in.
    pub(crate) fn new(job: &Job, uid: Option<u32>, gateway: bool, seccomp: bool, controls: Controls) -> Self {
        let limits = &job.limits;
        Self {
            command: job.command.clone(),
            environment: job.environment.clone(),
            uid,
            gateway: gateway && job.network == Network::Gateway,
            seccomp,
            limits: ProcessLimits {
                file_bytes: limits.disk_bytes,
                data_bytes: (!controls.memory).then_some(limits.memory_bytes),
                processes: (!controls.processes).then_some(limits.processes),
            },
        }
    }
}

/// What bwrap makes around it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Tree {
    pub(crate) bwrap: PathBuf,
    /// What bwrap calls itself in the list of processes: the owner, so that others see whether he is gone.
    pub(crate) name: String,
    /// The work folder and what else is mounted, in this order.
    pub(crate) places: Vec<Place>,
    pub(crate) tmp_bytes: u64,
}

/// A file or folder of the machine, and where the job sees it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) writable: bool,
}

/// What `setrlimit` limits.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct ProcessLimits {
    pub(crate) file_bytes: u64,
    /// Where no control group limits memory.
    pub(crate) data_bytes: Option<u64>,
    /// Where no control group limits processes.
    pub(crate) processes: Option<u64>,
}

/// What a killed worker leaves.
#[derive(Serialize, Deserialize)]
pub(crate) struct Remains {
    /// How the names of its control groups begin.
    pub(crate) owner: String,
    /// The folders that its control groups are in.
    pub(crate) hierarchies: Vec<PathBuf>,
}

/// How far `contain` came.
#[derive(Serialize, Deserialize)]
pub(crate) enum Report {
    Ready {
        /// The inode of the job's network namespace: what all its processes share and none can leave.
        network: u64,
    },
    Failed {
        ability: Ability,
        what: String,
        errno: Option<i32>,
    },
}

/// A line of `bwrap --json-status-fd`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Status {
    pub(crate) exit_code: Option<i32>,
}

/// What the first process of a container says last.
#[derive(Serialize, Deserialize)]
pub(crate) struct Farewell {
    /// Nothing, when it was ended from outside or for memory.
    pub(crate) end: Option<End>,
    pub(crate) used: Used,
}

/// How a job in a container ended.
#[derive(Serialize, Deserialize)]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
    NotStarted(String),
}
