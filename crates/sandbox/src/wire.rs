//! What the worker and [`contain`](crate::contain()) say to each other: lines of JSON over the socket that is its standard input.
//!
//! ```text
//! worker  ──► Request::Contain                    the job
//! contain ──► Report::Ready (and three sockets)   or Report::Failed
//! worker  ──► "go"                                the reaper knows the job from now on
//! bwrap   ──► {"exit-code": 0}                    contain has become bwrap; the socket is its status
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::machine::Ability;

/// What one process of `contain` is for.
#[derive(Serialize, Deserialize)]
pub(crate) enum Request {
    /// Become this job.
    Contain(Box<Order>),
    /// Wait until standard input ends, then remove what is left.
    Reap(Remains),
}

/// All that is needed to become a job. It has no `Debug`, because it holds the environment.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) bwrap: PathBuf,
    pub(crate) command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// The work folder and what else is mounted, in this order.
    pub(crate) places: Vec<Place>,
    /// The user id to take, when started by root.
    pub(crate) uid: Option<u32>,
    pub(crate) gateway: bool,
    pub(crate) seccomp: bool,
    pub(crate) tmp_bytes: u64,
    pub(crate) limits: ProcessLimits,
}

/// A file or folder of the machine, and where the job sees it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
    pub(crate) writable: bool,
}

/// What `setrlimit` limits.
#[derive(Serialize, Deserialize)]
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
