//! From a [`Job`] to a process that is contained.

use std::ffi::OsString;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::folder::Folder;
use crate::groups::Group;
use crate::job::{Gateway, Job, Network};
use crate::machine::{Ability, Machine};
use crate::members::Members;
use crate::reaper::Watched;
use crate::uids::LeasedUid;
use crate::wire::{Order, Place, ProcessLimits, Report, Request};

/// How long containing may take, on a machine under load.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest report.
const REPORT_BYTES: usize = 4096;

/// A job that is contained. What it holds is let go in this order.
pub(crate) struct Launched {
    pub(crate) process: Contained,
    /// What bwrap writes its status to.
    pub(crate) control: UnixStream,
    pub(crate) members: Members,
    pub(crate) group: Option<Group>,
    pub(crate) folders: Vec<Folder>,
    _watched: Watched,
    _uid: Option<LeasedUid>,
}

/// What the caller gets of it.
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

fn naming(what: &str) -> impl FnOnce(io::Error) -> Failure {
    move |source| Failure {
        ability: None,
        what: what.to_owned(),
        source,
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
pub(crate) struct Contained(pub(crate) Child);

impl Drop for Contained {
    fn drop(&mut self) {
        // Both fail only for a process that was waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Contains a job. The thread that calls this must live as long as the job: the kernel kills the job with it.
pub(crate) fn launch(machine: &Machine, job: &Job) -> Result<(Launched, Streams), Failure> {
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
    let order = order(machine, job, number);
    send(&control, order).map_err(naming("handing the job over"))?;
    let (network, gateway) = await_ready(&control)?;
    let watched = machine
        .reaper
        .watch(network)
        .map_err(naming("talking to the reaper of this sandbox"))?;
    (&control)
        .write_all(b"go\n")
        .map_err(naming("starting the job"))?;
    let members = Members::new(network, group.as_ref().and_then(Group::list));
    let launched = Launched {
        process,
        control,
        members,
        group,
        folders,
        _watched: watched,
        _uid: uid,
    };
    Ok((
        launched,
        Streams {
            stdout,
            stderr,
            gateway,
        },
    ))
}

/// The program that contains, with nothing of our environment.
pub(crate) fn contain_command(contain: &[OsString]) -> io::Result<Command> {
    let (program, arguments) = contain.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().current_dir("/");
    Ok(command)
}

fn lend_folders(job: &Job, uid: Option<u32>) -> io::Result<Vec<Folder>> {
    let mounts = job
        .mounts
        .iter()
        .filter(|mount| mount.writable)
        .map(|mount| mount.from.as_path());
    let folders = [job.folder.as_path()]
        .into_iter()
        .chain(mounts.filter(|from| from.is_dir()));
    folders.map(|folder| Folder::lend(folder, uid)).collect()
}

fn spawn(machine: &Machine, control: UnixStream) -> io::Result<(Contained, OwnedFd, OwnedFd)> {
    let (stdout, stdout_of_job) = io::pipe()?;
    let (stderr, stderr_of_job) = io::pipe()?;
    let process = contain_command(&machine.contain)?
        .stdin(OwnedFd::from(control))
        .stdout(stdout_of_job)
        .stderr(stderr_of_job)
        .spawn()?;
    Ok((Contained(process), stdout.into(), stderr.into()))
}

fn order(machine: &Machine, job: &Job, uid: Option<u32>) -> Order {
    let limits = &job.limits;
    let mounts = job
        .mounts
        .iter()
        .map(|mount| place(&mount.from, &mount.to, mount.writable));
    let controls = machine.controls();
    Order {
        bwrap: machine.bwrap.clone(),
        command: job.command.clone(),
        environment: job.environment.clone(),
        places: [place(&job.folder, Path::new("/app"), true)]
            .into_iter()
            .chain(mounts)
            .collect(),
        uid,
        gateway: machine.gateway && job.network == Network::Gateway,
        seccomp: machine.seccomp,
        tmp_bytes: limits.tmp_bytes,
        limits: ProcessLimits {
            file_bytes: limits.disk_bytes,
            data_bytes: (!controls.memory).then_some(limits.memory_bytes),
            processes: (!controls.processes).then_some(limits.processes),
        },
    }
}

fn place(from: &Path, to: &Path, writable: bool) -> Place {
    Place {
        from: from.to_owned(),
        to: to.to_owned(),
        writable,
    }
}

fn send(mut control: &UnixStream, order: Order) -> io::Result<()> {
    control.set_read_timeout(Some(PATIENCE))?;
    control.set_write_timeout(Some(PATIENCE))?;
    writeln!(
        control,
        "{}",
        serde_json::to_string(&Request::Contain(Box::new(order)))?
    )
}

fn await_ready(control: &UnixStream) -> Result<(u64, Option<Gateway>), Failure> {
    let (line, sockets) = receive(control).map_err(naming("containing the job"))?;
    let report = serde_json::from_slice(&line)
        .map_err(io::Error::from)
        .map_err(naming("containing the job"))?;
    match report {
        Report::Ready { network } => Ok((network, gateway(sockets))),
        Report::Failed { ability, what, errno } => {
            let source = errno.map_or_else(
                || io::Error::other("see its standard error"),
                io::Error::from_raw_os_error,
            );
            Err(Failure {
                ability: Some(ability),
                what,
                source,
            })
        }
    }
}

/// One line, and the sockets that came with it.
fn receive(control: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let (mut line, mut sockets) = (Vec::new(), Vec::new());
    while !line.ends_with(b"\n") {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [0; REPORT_BYTES];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(control, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                sockets.extend(descriptors);
            }
        }
        if received.bytes == 0 || line.len() > REPORT_BYTES {
            return Err(io::Error::other(
                "the process that contains it has ended; see its standard error",
            ));
        }
        line.extend(bytes.iter().take(received.bytes));
    }
    Ok((line, sockets))
}

fn gateway(sockets: Vec<OwnedFd>) -> Option<Gateway> {
    let mut sockets = sockets.into_iter();
    Some(Gateway {
        connections: TcpListener::from(sockets.next()?),
        names: UdpSocket::from(sockets.next()?),
        names_tcp: TcpListener::from(sockets.next()?),
        resolver: (Ipv4Addr::LOCALHOST, 53).into(),
    })
}
