mod calls;
mod filter;
mod guard;
mod netlink;
mod network;
mod stage;
mod tree;

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, close, getgid, getuid, setgroups, setresgid, setresuid};
use rustix::io::{FdFlags, fcntl_setfd};

use crate::bubblewrap::reaper;
use crate::engine;
use crate::handshake::{receive, send};
use crate::sandbox::Ability;
use crate::wire::{GO, Order, ProcessLimits, Report, Request, Tree};

/// The longest request: an order has the environment, which may be long.
const MAX_REQUEST: usize = 64 << 20;
/// Whom the job sees itself as.
const INSIDE_ID: u32 = 1000;
/// The order of those who the kernel kills when the whole machine is short of memory, from -1000 (never) to 1000 (first).
const FIRST_TO_KILL: i32 = 900;
/// Open files of one process: what Linux has always given to programs that do not ask.
const OPEN_FILES: u64 = 4096;

/// What the hidden command of the caller's program does: reads from the socket that is its standard input (in a container: from one that is mounted
/// there) what to be, contains itself, and becomes the job. Returns only when that failed, or when it was the reaper of a worker that has ended or the
/// first process of a container.
///
/// Call it before anything starts a thread: a process with several threads cannot enter a user namespace.
pub fn contain() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Why a job cannot be contained, for the worker.
struct Refusal {
    ability: Ability,
    what: &'static str,
    source: io::Error,
}

/// Names what failed.
trait Naming<T> {
    fn naming(self, ability: Ability, what: &'static str) -> Result<T, Refusal>;
}

impl<T, E: Into<io::Error>> Naming<T> for Result<T, E> {
    fn naming(self, ability: Ability, what: &'static str) -> Result<T, Refusal> {
        self.map_err(|error| Refusal {
            ability,
            what,
            source: error.into(),
        })
    }
}

fn serve() -> io::Result<()> {
    close_inherited()?;
    let control = control()?;
    let (line, descriptors) = receive(&control, MAX_REQUEST)?;
    match serde_json::from_slice(&line)? {
        Request::Reap(remains) => reaper::run(&control, BufReader::new(control.try_clone()?), &remains),
        Request::Contain(order, tree) => {
            let Err(refusal) = become_job(&order, &tree, &control);
            refuse(&control, refusal)
        }
        Request::Guard(order) => guard::run(&order, &control, descriptors),
        Request::Become(order) => {
            let Err(refusal) = guard::become_job(&order);
            refuse(&control, refusal)
        }
    }
}

fn control() -> io::Result<UnixStream> {
    let stdin = io::stdin().as_fd().try_clone_to_owned()?;
    if File::from(stdin.try_clone()?).metadata()?.file_type().is_socket() {
        return Ok(UnixStream::from(stdin));
    }
    UnixStream::connect(engine::CONTROL)
}

/// Closes what the worker's other parts left open, so that the job does not inherit it.
fn close_inherited() -> io::Result<()> {
    let entries = fs::read_dir("/proc/self/fd")?;
    let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let inherited: Vec<_> = numbers.filter(|&number| number > libc::STDERR_FILENO).collect();
    for number in inherited {
        // The one that listed them is closed already.
        let _ = close(number);
    }
    Ok(())
}

fn refuse(control: &UnixStream, refusal: Refusal) -> io::Result<()> {
    let report = Report::Failed {
        ability: refusal.ability,
        what: refusal.what.to_owned(),
        errno: refusal.source.raw_os_error(),
    };
    send(control, &report, &[])?;
    Err(refusal.source)
}

fn become_job(order: &Order, tree: &Tree, control: &UnixStream) -> Result<Infallible, Refusal> {
    // Who is gone before this is missed when the word to go does not come.
    prctl::set_pdeathsig(Signal::SIGKILL).naming(Ability::Namespaces, "binding its life to the worker's")?;
    let staged = match order.uid {
        Some(_) => Some(stage::reachable(&tree.places).naming(Ability::Namespaces, "mounting its folders")?),
        None => None,
    };
    if let Some(uid) = order.uid {
        drop_root(uid).naming(Ability::Namespaces, "taking its user id")?;
    }
    enter_namespaces().naming(Ability::Namespaces, "making its namespaces")?;
    limit(&order.limits).naming(Ability::Processes, "setting its limits")?;
    let sockets = match order.gateway {
        true => Some(network::make().naming(Ability::Gateway, "making its network")?),
        false => None,
    };
    let filters = match order.seccomp {
        true => filter::filters()
            .map_err(io::Error::other)
            .naming(Ability::Seccomp, "compiling its filter")?
            .map(|filter| filter::bytes(&filter))
            .to_vec(),
        false => Vec::new(),
    };
    let places = staged.as_deref().unwrap_or(&tree.places);
    let arguments = tree::arguments(order, tree.tmp_bytes, places, &filters)
        .naming(Ability::Namespaces, "writing its arguments")?;
    report_ready(control, sockets.as_ref()).naming(Ability::Gateway, "handing its sockets over")?;
    drop(sockets);
    await_go(control).naming(Ability::Namespaces, "waiting for the word to go")?;
    let error = execute(order, tree, control, arguments);
    Err(error).naming(Ability::Namespaces, "starting bwrap")
}

/// Becomes a user of its own, for good.
fn drop_root(uid: u32) -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    // Without this, files of /proc/self belong to root, among them the map of user ids.
    prctl::set_dumpable(true)
}

fn enter_namespaces() -> io::Result<()> {
    let (user, group) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{INSIDE_ID} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{INSIDE_ID} {group} 1"))?;
    // A change of credentials forgets it.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

fn limit(limits: &ProcessLimits) -> io::Result<()> {
    rise_in_killing_order()?;
    umask(Mode::from_bits_truncate(0o022));
    lower(Resource::RLIMIT_CORE, 0)?;
    lower(Resource::RLIMIT_NOFILE, OPEN_FILES)?;
    lower(Resource::RLIMIT_FSIZE, limits.file_bytes)?;
    if let Some(bytes) = limits.data_bytes {
        lower(Resource::RLIMIT_DATA, bytes)?;
    }
    if let Some(processes) = limits.processes {
        lower(Resource::RLIMIT_NPROC, processes)?;
    }
    Ok(())
}

/// Nobody may lower his own number, so one that is higher stays.
fn rise_in_killing_order() -> io::Result<()> {
    let file = "/proc/self/oom_score_adj";
    let current = fs::read_to_string(file)?.trim().parse::<i32>();
    match current {
        Ok(current) if current >= FIRST_TO_KILL => Ok(()),
        _ => fs::write(file, FIRST_TO_KILL.to_string()),
    }
}

fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let to = to.min(hard);
    Ok(setrlimit(resource, to, to)?)
}

/// Tells the worker that all is made, and hands it the sockets.
fn report_ready(control: &UnixStream, sockets: Option<&network::Sockets>) -> io::Result<()> {
    let network = fs::metadata("/proc/self/ns/net")?.ino();
    let descriptors = sockets.map(network::Sockets::as_fds);
    let descriptors = descriptors.as_ref().map_or(&[][..], |descriptors| descriptors);
    send(control, &Report::Ready { network }, descriptors)
}

/// Goes no further when the worker is gone: then nobody would watch the job.
fn await_go(mut control: &UnixStream) -> io::Result<()> {
    control.read_exact(&mut [0; GO.len()])
}

/// Becomes bwrap; what comes back is why not.
fn execute(order: &Order, tree: &Tree, control: &UnixStream, arguments: tree::Arguments) -> io::Error {
    let prepare = || -> io::Result<(OwnedFd, OwnedFd, Vec<OwnedFd>)> {
        let status = control.as_fd().try_clone_to_owned()?;
        fcntl_setfd(&status, FdFlags::empty())?;
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        let (arguments, files) = arguments.finish()?;
        Ok((status, arguments, files))
    };
    let (status, arguments, _files) = match prepare() {
        Ok(prepared) => prepared,
        Err(error) => return error,
    };
    Command::new(&tree.bwrap)
        .arg0(&tree.name)
        .env_clear()
        .args(["--args", &arguments.as_raw_fd().to_string()])
        .args(["--json-status-fd", &status.as_raw_fd().to_string(), "--"])
        .args(&order.command)
        .exec()
}
