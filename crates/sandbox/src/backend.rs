//! The port: what contains jobs.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use crate::folder::Folder;
use crate::groups::{Controls, Used};
use crate::job::{Gateway, Job};
use crate::sandbox::{Ability, Lack};

/// A way to contain jobs.
pub(crate) trait Backend: Send + Sync {
    /// Contains a job. The thread that calls this lives as long as the job.
    fn launch<'a>(&'a self, job: &Job) -> Result<(Box<dyn Contained + 'a>, Streams), Failure>;

    /// Gives up an ability that was found to fail. False, when no job can be contained without it.
    fn give_up(&mut self, ability: Ability, reason: &str) -> bool;

    /// What its user can do to have an ability that failed.
    fn remedy(&self, ability: Ability) -> Option<&'static str>;

    /// What nothing limits here.
    fn unlimited(&self) -> Vec<Lack>;
}

/// A job that is contained. Dropped, nothing of it is left.
pub(crate) trait Contained {
    /// Is readable once its first process has ended.
    fn end(&self) -> BorrowedFd<'_>;

    /// Sends SIGTERM to all its processes.
    fn ask_to_end(&self);

    /// What it used so far, as far as that can be seen from here.
    fn used(&self) -> Used;

    /// Its processes, as far as they can be seen from here.
    fn processes(&self) -> Vec<i32>;

    /// Where it may write.
    fn folders(&self) -> &[Folder];

    /// Ends all of it and waits until it is gone. How its first process ended, and what it used.
    fn finish(&mut self) -> (Exit, Used);
}

/// How the first process of a job ended.
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
    /// It never was, or what became of it is not known.
    NotStarted(String),
}

/// What the caller gets of a job.
pub(crate) struct Streams {
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    pub(crate) gateway: Option<Gateway>,
}

/// Why a job could not be contained, and which ability of the machine that tells of, if one.
pub(crate) struct Failure {
    pub(crate) ability: Option<Ability>,
    pub(crate) what: String,
    pub(crate) source: io::Error,
}

/// What control groups do not limit, and why.
pub(crate) fn unlimited(controls: Controls, why: &str) -> Vec<Lack> {
    let abilities = [
        (controls.memory, Ability::Memory, "memory"),
        (controls.processes, Ability::Processes, "the number of processes"),
        (controls.cpu, Ability::Cpu, "the share of the processors"),
    ];
    let missing = abilities.into_iter().filter(|(is_there, ..)| !is_there);
    let lack = |(_, ability, what)| Lack {
        ability,
        reason: format!("{what} cannot be limited: {why}"),
    };
    missing.map(lack).collect()
}

/// Names what failed.
pub(crate) fn naming(what: &str) -> impl Fn(io::Error) -> Failure + Copy {
    move |source| Failure {
        ability: None,
        what: what.to_owned(),
        source,
    }
}
