//! A network namespace from which all connections lead to three sockets, which are used from outside.

use std::fs;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Output, Stdio};

use anyhow::{Context, Result, ensure};
use egress::{Sockets, Trust};
use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use tests::Need;

/// Tells this program that it is the process inside.
const INSIDE: &str = "inside";
const PATH: &str = "PATH";
const WHOLE_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const BUNDLE: &str = "SYSTEM_BUNDLE";

/// What is needed to make one.
pub(crate) const NEEDS: [Need; 3] = [
    Need::Program("ip"),
    Need::Program("nft"),
    Need::Output(
        "unshare",
        &[
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "sh",
            "-c",
            "PATH=$PATH:/usr/sbin nft list ruleset && echo yes",
        ],
    ),
];

/// A program to be run inside.
pub(crate) struct Inside {
    command: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// What lies where the system's authorities usually are.
    pub(crate) system_bundle: Option<PathBuf>,
}

/// A program that waits until its sockets are served.
pub(crate) struct Waiting {
    process: Child,
    line: UnixStream,
}

impl Inside {
    pub(crate) fn new(command: Vec<String>) -> Self {
        Self {
            command,
            environment: Vec::new(),
            system_bundle: None,
        }
    }

    /// Makes the namespace and returns its sockets.
    pub(crate) fn start(self) -> Result<(Waiting, Sockets)> {
        let (line, theirs) = UnixStream::pair()?;
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--mount"]);
        command
            .arg(std::env::current_exe()?)
            .arg(INSIDE)
            .args(self.command);
        command
            .env_clear()
            .env(PATH, std::env::var(PATH)? + ":" + WHOLE_PATH)
            .envs(self.environment);
        if let Some(bundle) = self.system_bundle {
            command.env(BUNDLE, bundle);
        }
        command
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let process = command.spawn()?;
        // Its copy of the other end must close with the process.
        drop(command);
        let waiting = Waiting { process, line };
        match receive(&waiting.line) {
            Ok(sockets) => Ok((waiting, sockets)),
            Err(error) => {
                let output = waiting.process.wait_with_output()?;
                Err(error.context(String::from_utf8_lossy(&output.stderr).into_owned()))
            }
        }
    }
}

impl Waiting {
    /// Lets it go, and waits until it has ended.
    pub(crate) fn go(mut self) -> Result<Output> {
        self.line.write_all(b"!")?;
        Ok(self.process.wait_with_output()?)
    }
}

fn receive(line: &UnixStream) -> Result<Sockets> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(
        line,
        &mut [IoSliceMut::new(&mut byte)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut sockets = control.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => sockets.collect::<Vec<_>>(),
        _ => Vec::new(),
    });
    let mut next = || sockets.next().context("no socket came from the namespace");
    Ok(Sockets {
        connections: next()?.into(),
        names: next()?.into(),
        names_tcp: next()?.into(),
    })
}

/// Becomes the program inside, when this process is to do so. Returns only when that is not so, or failed.
#[expect(clippy::print_stderr, reason = "the process inside has nobody else to tell")]
pub(crate) fn enter() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next()? != INSIDE {
        return None;
    }
    let command: Vec<String> = arguments.collect();
    if let Err(error) = become_inside(&command) {
        eprintln!("inside: {error:#}");
    }
    Some(ExitCode::FAILURE)
}

fn become_inside(command: &[String]) -> Result<()> {
    succeed("ip", &["link", "set", "lo", "up"])?;
    succeed("ip", &["route", "add", "local", "0.0.0.0/0", "dev", "lo"])?;
    let connections = TcpListener::bind("0.0.0.0:0")?;
    let names = UdpSocket::bind("127.0.0.53:53")?;
    let names_tcp = TcpListener::bind("127.0.0.53:53")?;
    let port = connections.local_addr()?.port();
    let rules = format!(
        "table ip out {{ chain output {{ type nat hook output priority -100; ip daddr 127.0.0.53 tcp dport 53 accept; meta l4proto tcp redirect to :{port}; }}; }}"
    );
    succeed("nft", &[&rules])?;
    let folder = tempfile::TempDir::new()?;
    let resolver = folder.path().join("resolv.conf");
    fs::write(&resolver, "nameserver 127.0.0.53\n")?;
    bind_over(&resolver.display().to_string(), "/etc/resolv.conf")?;
    if let Ok(bundle) = std::env::var(BUNDLE) {
        bind_over(&bundle, Trust::SYSTEM_PATH)?;
    }
    // The mount keeps the file.
    folder.close()?;
    let mut line = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    send(&line, [connections.as_fd(), names.as_fd(), names_tcp.as_fd()])?;
    drop((connections, names, names_tcp));
    line.read_exact(&mut [0])?;
    let (program, arguments) = command.split_first().context("no command")?;
    Err(Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .exec()
        .into())
}

fn send(line: &UnixStream, sockets: [std::os::fd::BorrowedFd<'_>; 3]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    ensure!(
        control.push(SendAncillaryMessage::ScmRights(&sockets)),
        "no room for sockets"
    );
    sendmsg(line, &[IoSlice::new(b"!")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn bind_over(file: &str, place: &str) -> Result<()> {
    succeed("mount", &["--bind", file, place])
}

fn succeed(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program).args(arguments).status()?;
    ensure!(status.success(), "{program} {arguments:?}: {status}");
    Ok(())
}
