//! Scrapers in, datasets out: queue, fetch, build, run, take in, tell.
//!
//! A [`Runner`] is the handle that pages, API and commands use. Its worker asks the registry for runs, and takes each through its phases:
//!
//! | phase | what happens | where |
//! |---|---|---|
//! | syncing | code (folder, git, upload) and the last data come into a work folder | git runs in the sandbox, too |
//! | building | dependencies are installed, or found in the cache of builds | in the sandbox, without secrets |
//! | running | the program runs; what it writes is the log | in the sandbox, with secrets; the way out is the run's proxy |
//! | collecting | data is checked, compared with the last version, and archived | here, on a copy |
//!
//! A run is this worker's as long as its lease is renewed. When the worker dies, the kernel ends everything that it started, the lease
//! expires, and the run waits again.
//!
//! *Who ends a run*: the program, its limits, a person ([`Runner::stop_run`]), or a lease that could not be renewed. In each case the data that it left is looked at,
//! unless the run is somebody else's by now.

mod building;
mod collecting;
mod control;
mod execution;
mod job;
mod metrics;
mod options;
mod places;
mod runner;
mod running;
mod syncing;
mod upkeep;
mod upload;
mod worker;

pub use crate::options::RunnerOptions;
pub use crate::runner::{DataFile, FIRST_UID, Leftover, Runner, RunnerDeps, RunnerError};
pub use crate::upload::MAX_UPLOAD_BYTES;
