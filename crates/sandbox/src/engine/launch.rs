//! From a [`Job`] to a container that runs it.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, ResourcesUlimits,
};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::mkdtemp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::api::LABEL;
use super::{CONTROL, Engine, PROGRAM, User};
use crate::backend::{Contained, Exit, Failure, Streams, naming};
use crate::folder::{Folder, lend_folders};
use crate::groups::Used;
use crate::handshake::{PATIENCE, await_ready, send};
use crate::job::Job;
use crate::members::Members;
use crate::uids::LeasedUid;
use crate::view;
use crate::wire::{End, Farewell, GO, Order, Request};

/// The guard.
const OWN_PROCESSES: u64 = 1;
/// What the guard may do: make the network, take a user id, end the job.
const CAPABILITIES: [&str; 6] = [
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "SETUID",
    "SETGID",
    "SETPCAP",
    "KILL",
];
/// The share of a container with the usual weight of 100.
const USUAL_SHARES: u64 = 1024;
/// Open files of one process.
const OPEN_FILES: u64 = 4096;
/// Processes of the job's user on the whole machine; those of the job have a limit of their own.
const PROCESSES: u64 = 16_384;
/// The word to ask all to end.
const TERMINATE: &[u8] = b"t";

/// A container. Dropped, it is gone.
struct Container<'a> {
    engine: &'a Engine,
    name: String,
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.engine.api.remove(&self.name) {
            tracing::error!(container = self.name, %error, "a container cannot be removed");
        }
    }
}

/// A job in a container. What it holds is let go in this order.
pub(super) struct Launched<'a> {
    container: Option<Container<'a>>,
    control: UnixStream,
    /// Only those that this user may look at.
    members: Members,
    folders: Vec<Folder>,
    _meeting: Meeting,
    _uid: Option<LeasedUid>,
}

impl Contained for Launched<'_> {
    fn end(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    fn ask_to_end(&self) {
        // A guard that is gone has ended everything.
        let _ = (&self.control).write_all(TERMINATE);
    }

    fn used(&self) -> Used {
        // The guard looks at it, and says so last.
        Used::default()
    }

    fn processes(&self) -> Vec<i32> {
        self.members.processes()
    }

    fn folders(&self) -> &[Folder] {
        &self.folders
    }

    fn finish(&mut self) -> (Exit, Used) {
        // When it is gone already there is nobody to tell.
        let _ = self.control.shutdown(Shutdown::Write);
        let mut words = Vec::new();
        // What a guard that was killed did not say is missing below.
        let _ = self.control.read_to_end(&mut words);
        self.container = None;
        let Ok(Farewell { end, used }) = serde_json::from_slice(&words) else {
            return (Exit::Signal(libc::SIGKILL), Used::default());
        };
        let exit = match end {
            Some(End::Code(code)) => Exit::Code(code),
            Some(End::Signal(signal)) => Exit::Signal(signal),
            Some(End::NotStarted(why)) => Exit::NotStarted(why),
            None => Exit::Signal(libc::SIGKILL),
        };
        (exit, used)
    }
}

/// The folder where a worker and a guard meet: a socket, and the files that tell who the job is and where names are answered.
struct Meeting {
    folder: PathBuf,
    listener: UnixListener,
    /// Where the files are inside.
    files: Vec<&'static str>,
}

impl Meeting {
    fn new(user: u32, gateway: bool) -> io::Result<Self> {
        let folder = mkdtemp(&std::env::temp_dir().join("haul-job-XXXXXX"))?;
        let listener = UnixListener::bind(folder.join("control"))?;
        let mut meeting = Self {
            folder,
            listener,
            files: Vec::new(),
        };
        // The guard may be another user; nobody else comes through the folder.
        fs::set_permissions(meeting.folder.join("control"), Permissions::from_mode(0o666))?;
        for (path, contents) in view::files(user, gateway) {
            let file = meeting.file(path);
            fs::write(&file, contents)?;
            fs::set_permissions(file, Permissions::from_mode(0o644))?;
            meeting.files.push(path);
        }
        Ok(meeting)
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder.join(Path::new(path).file_name().unwrap_or_default())
    }

    /// Waits for the guard, as long as its container lives.
    fn guard(&self, container: &Container<'_>) -> io::Result<UnixStream> {
        let give_up = Instant::now() + PATIENCE;
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 500_000_000,
        };
        loop {
            if poll(&mut [PollFd::new(&self.listener, PollFlags::IN)], Some(&moment))? > 0 {
                return Ok(self.listener.accept()?.0);
            }
            if !container.engine.api.is_alive(&container.name)? || Instant::now() > give_up {
                return Err(io::Error::other(
                    "the first process of the container did not come",
                ));
            }
        }
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        // What stays is a small folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Contains a job.
pub(super) fn launch<'a>(engine: &'a Engine, job: &Job) -> Result<(Launched<'a>, Streams), Failure> {
    let uid = match engine.user {
        User::Leased(first) => Some(LeasedUid::take(first).map_err(naming("taking a user id"))?),
        _ => None,
    };
    let lent_to = uid.as_ref().map(LeasedUid::number);
    let folders = lend_folders(job, lent_to).map_err(naming("opening the folders of the job"))?;
    let user = user(engine, lent_to);
    let order = Order::new(job, user, engine.gateway, engine.seccomp, engine.controls);
    let meeting = Meeting::new(order.uid.unwrap_or(0), order.gateway).map_err(naming("making a socket"))?;
    let name = engine.name(job);
    let body = body(engine, job, &meeting).map_err(naming("describing a container"))?;
    let container = Container { engine, name };
    engine
        .api
        .create(&container.name, body)
        .map_err(naming("creating a container"))?;
    engine
        .api
        .start(&container.name)
        .map_err(naming("starting a container"))?;
    let control = meeting
        .guard(&container)
        .map_err(naming("waiting for a container"))?;
    let (stdout, stderr) = hand_over(&control, order).map_err(naming("handing the job over"))?;
    let (network, gateway) = await_ready(&control)?;
    (&control).write_all(GO).map_err(naming("starting the job"))?;
    let launched = Launched {
        container: Some(container),
        control,
        members: Members::new(network, None),
        folders,
        _meeting: meeting,
        _uid: uid,
    };
    let streams = Streams {
        stdout: stdout.into(),
        stderr: stderr.into(),
        gateway,
    };
    Ok((launched, streams))
}

fn hand_over(control: &UnixStream, order: Order) -> io::Result<(io::PipeReader, io::PipeReader)> {
    control.set_read_timeout(Some(PATIENCE))?;
    control.set_write_timeout(Some(PATIENCE))?;
    let (stdout, stdout_of_job) = io::pipe()?;
    let (stderr, stderr_of_job) = io::pipe()?;
    send(
        control,
        &Request::Guard(Box::new(order)),
        &[stdout_of_job.as_fd(), stderr_of_job.as_fd()],
    )?;
    Ok((stdout, stderr))
}

/// Whose processes the job's are, as numbered in the container.
fn user(engine: &Engine, lent_to: Option<u32>) -> Option<u32> {
    match engine.user {
        User::Leased(_) => lent_to,
        User::Fixed(uid) => Some(uid),
        User::Mapped => None,
    }
}

fn body(engine: &Engine, job: &Job, meeting: &Meeting) -> io::Result<ContainerCreateBody> {
    let command = std::iter::once(PROGRAM.to_owned()).chain(engine.words.iter().cloned());
    Ok(ContainerCreateBody {
        image: Some(engine.image.clone()),
        entrypoint: Some(command.collect()),
        cmd: Some(Vec::new()),
        user: Some("0:0".to_owned()),
        hostname: Some("haul".to_owned()),
        working_dir: Some("/".to_owned()),
        labels: Some(HashMap::from([(LABEL.to_owned(), job.name.clone())])),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthConfig::default()
        }),
        host_config: Some(HostConfig {
            mounts: Some(mounts(engine, job, meeting)?),
            tmpfs: Some(HashMap::from([(
                "/tmp".to_owned(),
                format!(
                    "rw,exec,nosuid,nodev,mode=1777,size={}",
                    job.limits.tmp_bytes.max(1)
                ),
            )])),
            ..limits(engine, job)?
        }),
        ..ContainerCreateBody::default()
    })
}

fn limits(engine: &Engine, job: &Job) -> io::Result<HostConfig> {
    let limits = &job.limits;
    let memory = engine.controls.memory.then(|| signed(limits.memory_bytes));
    let processes = limits.processes.saturating_add(OWN_PROCESSES);
    let words = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
    Ok(HostConfig {
        network_mode: Some("none".to_owned()),
        ipc_mode: Some("private".to_owned()),
        userns_mode: engine.maps_users.then(|| "host".to_owned()),
        cap_drop: words(&["ALL"]),
        cap_add: words(&CAPABILITIES),
        security_opt: words(&["no-new-privileges"]),
        readonly_rootfs: Some(true),
        auto_remove: Some(true),
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        memory,
        memory_swap: memory,
        pids_limit: engine.controls.processes.then(|| signed(processes)),
        cpu_shares: engine
            .controls
            .cpu
            .then(|| signed((limits.cpu_weight * USUAL_SHARES / 100).max(2))),
        shm_size: Some(signed(limits.tmp_bytes.max(1))),
        ulimits: Some(vec![
            ulimit("nofile", Resource::RLIMIT_NOFILE, OPEN_FILES)?,
            ulimit("nproc", Resource::RLIMIT_NPROC, PROCESSES)?,
        ]),
        ..HostConfig::default()
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Engines that are not told would raise hard limits, and fail where they may not.
fn ulimit(name: &str, resource: Resource, most: u64) -> io::Result<ResourcesUlimits> {
    let (_, hard) = getrlimit(resource)?;
    let hard = signed(hard.min(most));
    Ok(ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(hard),
        hard: Some(hard),
    })
}

fn mounts(engine: &Engine, job: &Job, meeting: &Meeting) -> io::Result<Vec<Mount>> {
    let mut mounts = vec![
        mount(&engine.program, Path::new(PROGRAM), false)?,
        mount(&meeting.file(CONTROL), Path::new(CONTROL), false)?,
        mount(&job.folder, Path::new("/app"), true)?,
    ];
    for path in &meeting.files {
        mounts.push(mount(&meeting.file(path), Path::new(path), false)?);
    }
    let folders = view::root().filter(|(path, target)| target.is_none() && path.is_dir());
    let folders = folders
        .map(|(path, _)| path.to_owned())
        .chain([PathBuf::from("/usr")]);
    for path in folders.chain(view::etc()) {
        mounts.push(mount(&path, &path, false)?);
    }
    for each in &job.mounts {
        mounts.push(mount(&each.from, &each.to, each.writable)?);
    }
    Ok(mounts)
}

fn mount(from: &Path, to: &Path, writable: bool) -> io::Result<Mount> {
    let text = |path: &Path| {
        let text = path.to_str().map(ToOwned::to_owned);
        text.ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))
    };
    Ok(Mount {
        typ: Some(MountType::BIND),
        source: Some(text(from)?),
        target: Some(text(to)?),
        read_only: Some(!writable),
        ..Mount::default()
    })
}
