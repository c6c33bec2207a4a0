//! From a [`Job`] to a process that is contained.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Bubblewrap;
use super::reaper::Watched;
use crate::backend::{Contained, Exit, Failure, Streams, naming};
use crate::folder::{Folder, lend_folders};
use crate::groups::{Group, Used};
use crate::handshake::{PATIENCE, await_ready, send};
use crate::job::Job;
use crate::members::Members;
use crate::sandbox::Ability;
use crate::uids::LeasedUid;
use crate::wire::{GO, Order, Place, Request, Status, Tree};

/// bwrap, as shells do, reports a signal as this and its number.
const SIGNALLED: i32 = 128;
const LAST_SIGNAL: i32 = 64;
const UNMADE: &str =
    "the sandbox could not be made or has no such program; bwrap says why on the job's standard error";

/// A job in bwrap. What it holds is let go in this order.
pub(super) struct Launched {
    process: Process,
    /// Refers to the process: readable when it has ended.
    end: OwnedFd,
    /// What bwrap writes its status to.
    control: UnixStream,
    members: Members,
    group: Option<Group>,
    folders: Vec<Folder>,
    _watched: Watched,
    _uid: Option<LeasedUid>,
}

impl Contained for Launched {
    fn end(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    fn ask_to_end(&self) {
        self.members.ask_to_end(self.process.0.id());
    }

    fn used(&self) -> Used {
        self.group.as_ref().map(Group::used).unwrap_or_default()
    }

    fn processes(&self) -> Vec<i32> {
        self.members.processes()
    }

    fn folders(&self) -> &[Folder] {
        &self.folders
    }

    fn finish(&mut self) -> (Exit, Used) {
        self.members.kill();
        let status = self.process.0.wait();
        let exit = match (self.exit_code(), status) {
            (Some(code), _) => ended_with(code),
            (None, Ok(status)) => ended_early(status),
            (None, Err(error)) => Exit::NotStarted(format!("it cannot be waited for: {error}")),
        };
        (exit, self.used())
    }
}

impl Launched {
    /// What bwrap said that the program's end was.
    fn exit_code(&mut self) -> Option<i32> {
        let mut text = String::new();
        // Everybody who could write is gone, so this ends; what cannot be read tells nothing.
        let _ = self.control.read_to_string(&mut text);
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Status>(line).ok());
        lines.filter_map(|status| status.exit_code).next_back()
    }
}

fn ended_with(code: i32) -> Exit {
    match code - SIGNALLED {
        signal @ 1..=LAST_SIGNAL => Exit::Signal(signal),
        _ => Exit::Code(code),
    }
}

/// How bwrap itself ended, before it could say how the program did.
fn ended_early(status: ExitStatus) -> Exit {
    match status.signal() {
        Some(signal) => Exit::Signal(signal),
        None => Exit::NotStarted(UNMADE.to_owned()),
    }
}

/// A machine that cannot do this may do without control groups.
fn of_groups(what: &str) -> impl FnOnce(io::Error) -> Failure {
    move |source| Failure {
        ability: Some(Ability::Memory),
        ..naming(what)(source)
    }
}

/// The process that becomes bwrap. Dropped, it is killed.
struct Process(Child);

impl Process {
    fn open(&self) -> io::Result<OwnedFd> {
        let number = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        Ok(pidfd_open(
            number.ok_or(io::ErrorKind::InvalidData)?,
            PidfdFlags::empty(),
        )?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only for a process that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Contains a job. The thread that calls this must live as long as the job: the kernel kills the job with it.
pub(super) fn launch(machine: &Bubblewrap, job: &Job) -> Result<(Launched, Streams), Failure> {
    let uid = match machine.first_uid {
        Some(first) => Some(LeasedUid::take(first).map_err(naming("taking a user id"))?),
        None => None,
    };
    let number = uid.as_ref().map(LeasedUid::number);
    let folders = lend_folders(job, number).map_err(naming("opening the folders of the job"))?;
    let group = machine.group(job).map_err(of_groups("making a control group"))?;
    let (control, theirs) = UnixStream::pair().map_err(naming("making a socket"))?;
    let (process, stdout, stderr) = spawn(machine, theirs).map_err(naming("starting a process"))?;
    if let Some(group) = &group {
        group
            .add(process.0.id())
            .map_err(of_groups("moving a process to its control group"))?;
    }
    let end = process.open().map_err(naming("watching a process"))?;
    hand_over(&control, machine, job, number).map_err(naming("handing the job over"))?;
    let (network, gateway) = await_ready(&control)?;
    let watched = machine
        .reaper
        .watch(network)
        .map_err(naming("talking to the reaper of this sandbox"))?;
    (&control).write_all(GO).map_err(naming("starting the job"))?;
    let members = Members::new(network, group.as_ref().and_then(Group::list));
    let launched = Launched {
        process,
        end,
        control,
        members,
        group,
        folders,
        _watched: watched,
        _uid: uid,
    };
    let streams = Streams {
        stdout,
        stderr,
        gateway,
    };
    Ok((launched, streams))
}

/// The program that contains, with nothing of our environment.
pub(super) fn contain_command(contain: &[OsString]) -> io::Result<Command> {
    let (program, arguments) = contain.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    Ok(command)
}

fn spawn(machine: &Bubblewrap, control: UnixStream) -> io::Result<(Process, OwnedFd, OwnedFd)> {
    let (stdout, stdout_of_job) = io::pipe()?;
    let (stderr, stderr_of_job) = io::pipe()?;
    let process = contain_command(&machine.contain)?
        .stdin(OwnedFd::from(control))
        .stdout(stdout_of_job)
        .stderr(stderr_of_job)
        .spawn()?;
    Ok((Process(process), stdout.into(), stderr.into()))
}

fn hand_over(control: &UnixStream, machine: &Bubblewrap, job: &Job, uid: Option<u32>) -> io::Result<()> {
    control.set_read_timeout(Some(PATIENCE))?;
    control.set_write_timeout(Some(PATIENCE))?;
    let order = Order::new(job, uid, machine.gateway, machine.seccomp, machine.controls());
    let request = Request::Contain(Box::new(order), tree(machine, job));
    send(control, &request, &[])
}

fn tree(machine: &Bubblewrap, job: &Job) -> Tree {
    let mounts = job
        .mounts
        .iter()
        .map(|mount| place(&mount.from, &mount.to, mount.writable));
    Tree {
        bwrap: machine.bwrap.clone(),
        name: machine.owner.clone(),
        places: [place(&job.folder, Path::new("/app"), true)]
            .into_iter()
            .chain(mounts)
            .collect(),
        tmp_bytes: job.limits.tmp_bytes,
    }
}

fn place(from: &Path, to: &Path, writable: bool) -> Place {
    Place {
        from: from.to_owned(),
        to: to.to_owned(),
        writable,
    }
}
