//! The first process of a container: it makes the network, starts the job, and stays, to count what the job uses and to end it.
//!
//! Whatever ends it (the worker, the end of the worker, the end of the job) ends all processes of the container: the kernel kills them with the first.

use std::convert::Infallible;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities};

use super::{Naming, Refusal, await_go, drop_root, filter, limit, network, refuse, report_ready};
use crate::groups::{self, Used, Version};
use crate::handshake::send;
use crate::sandbox::Ability;
use crate::wire::{End, Farewell, Order, Report, Request};

/// How often memory is looked at.
const TICK: Duration = Duration::from_millis(100);
/// The word to ask all to end.
const TERMINATE: u8 = b't';
/// All processes that can be seen, but the one that asks.
const EVERYBODY: i32 = -1;

/// Guards a job until it has ended or must end.
pub(super) fn run(order: &Order, control: &UnixStream, streams: Vec<OwnedFd>) -> io::Result<()> {
    let counters = groups::of_container();
    let farewell = match start(order, control, streams) {
        Ok((job, children)) => Farewell {
            end: watch(job, control, &children, &*counters),
            used: end_all(&*counters),
        },
        Err(Unstarted::Refused(refusal)) => return refuse(control, refusal),
        Err(Unstarted::Failed(why)) => Farewell {
            end: Some(End::NotStarted(why)),
            used: counters.used(""),
        },
    };
    send(control, &farewell, &[])
}

/// Why there is no job.
enum Unstarted {
    /// It cannot be contained.
    Refused(Refusal),
    /// It is contained, but its program cannot be started.
    Failed(String),
}

impl From<Refusal> for Unstarted {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<io::Error> for Unstarted {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

fn start(order: &Order, control: &UnixStream, streams: Vec<OwnedFd>) -> Result<(Pid, SignalFd), Unstarted> {
    let sockets = match order.gateway {
        true => Some(network::make().naming(Ability::Gateway, "making its network")?),
        false => None,
    };
    let children = children().naming(Ability::Namespaces, "watching its processes")?;
    report_ready(control, sockets.as_ref()).naming(Ability::Gateway, "handing its sockets over")?;
    drop(sockets);
    await_go(control)?;
    Ok((spawn(order, streams)?, children))
}

/// Is readable when a process has ended.
fn children() -> nix::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
}

/// Starts a process of this program that becomes the job. What it cannot become is an error.
fn spawn(order: &Order, streams: Vec<OwnedFd>) -> io::Result<Pid> {
    let mut streams = streams.into_iter();
    let mut stream = || streams.next().ok_or(io::ErrorKind::InvalidInput);
    let (mut control, theirs) = UnixStream::pair()?;
    let job = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .stdin(OwnedFd::from(theirs))
        .stdout(stream()?)
        .stderr(stream()?)
        .spawn()?;
    send(&control, &Request::Become(Box::new(order.clone())), &[])?;
    let mut words = String::new();
    // It ends without a word when the job takes its place.
    control.read_to_string(&mut words)?;
    match serde_json::from_str(&words) {
        Ok(Report::Failed { what, errno, .. }) => {
            let why = errno.map(io::Error::from_raw_os_error);
            Err(io::Error::other(
                why.map_or_else(|| what.clone(), |why| format!("{what}: {why}")),
            ))
        }
        _ => Ok(Pid::from_raw(job.id().cast_signed())),
    }
}

/// Returns how the job ended, or nothing when it must end.
fn watch(job: Pid, mut control: &UnixStream, children: &SignalFd, counters: &dyn Version) -> Option<End> {
    loop {
        let is_asked = is_asked(control.as_fd(), children.as_fd());
        while children.read_signal().is_ok_and(|signal| signal.is_some()) {}
        if let Some(end) = reap(job) {
            return Some(end);
        }
        if counters.used("").killed_for_memory > 0 {
            return None;
        }
        let mut word = [0];
        if is_asked && control.read(&mut word).ok() != Some(1) {
            return None;
        }
        if word == [TERMINATE] {
            // There may be nobody left.
            let _ = kill(Pid::from_raw(EVERYBODY), Signal::SIGTERM);
        }
    }
}

/// Waits a moment. Whether the worker has said something, or has gone.
fn is_asked(control: BorrowedFd<'_>, children: BorrowedFd<'_>) -> bool {
    let time = Timespec {
        tv_sec: 0,
        tv_nsec: TICK.subsec_nanos().into(),
    };
    let mut watched = [control, children].map(|each| PollFd::from_borrowed_fd(each, PollFlags::IN));
    // What goes wrong here is only a wait that was shorter.
    let _ = poll(&mut watched, Some(&time));
    watched
        .first()
        .is_some_and(|control| !control.revents().is_empty())
}

/// Takes leave of all processes that have ended, also of those that lost their parents.
fn reap(job: Pid) -> Option<End> {
    let mut end = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(process, code)) if process == job => end = Some(End::Code(code)),
            Ok(WaitStatus::Signaled(process, signal, _)) if process == job => {
                end = Some(End::Signal(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return end,
            // Another one, or an interruption.
            _ => {}
        }
    }
}

fn end_all(counters: &dyn Version) -> Used {
    // There may be nobody left.
    let _ = kill(Pid::from_raw(EVERYBODY), Signal::SIGKILL);
    counters.used("")
}

/// Becomes the job; what comes back is why not, which the job's standard error tells, too.
pub(super) fn become_job(order: &Order) -> Result<Infallible, Refusal> {
    let namespaces = Ability::Namespaces;
    setsid().naming(namespaces, "making its session")?;
    limit(&order.limits).naming(Ability::Processes, "setting its limits")?;
    drop_capabilities(order.uid).naming(namespaces, "dropping its privileges")?;
    std::env::set_current_dir("/app").naming(namespaces, "entering its folder")?;
    File::open("/dev/null")
        .and_then(|null| Ok(rustix::stdio::dup2_stdin(null)?))
        .naming(namespaces, "opening /dev/null")?;
    if order.seccomp {
        load_filters().naming(Ability::Seccomp, "loading its filter")?;
    }
    let (program, arguments) = order
        .command
        .split_first()
        .ok_or(io::Error::from(io::ErrorKind::InvalidInput))
        .naming(namespaces, "reading its command")?;
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        .exec();
    // The report has it as well.
    let _ = writeln!(io::stderr(), "haul: cannot start {program}: {error}");
    Err(error).naming(namespaces, "starting its program")
}

/// Gives up what the first process needed, for good: no program that is started from here on can have it back.
fn drop_capabilities(uid: Option<u32>) -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        match remove_capability_from_bounding_set(capability) {
            // An older kernel does not know the newest.
            Err(rustix::io::Errno::INVAL) => {}
            removed => removed?,
        }
    }
    if let Some(uid) = uid {
        drop_root(uid)?;
    }
    let none = CapabilitySet::empty();
    Ok(set_capabilities(
        None,
        CapabilitySets {
            effective: none,
            permitted: none,
            inheritable: none,
        },
    )?)
}

fn load_filters() -> io::Result<()> {
    let filters = filter::filters().map_err(io::Error::other)?;
    for filter in filters.iter().rev() {
        seccompiler::apply_filter(filter).map_err(io::Error::other)?;
    }
    Ok(())
}
