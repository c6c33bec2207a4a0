use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{trials, wait};

/// Where Debian has the programs of each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A real PostgreSQL on a free port of 127.0.0.1; ends when dropped. Its user `postgres` has the password `secret`.
pub struct Postgres {
    process: Child,
    port: u16,
    settings: Vec<String>,
    folder: TempDir,
}

impl Postgres {
    /// Starts a server that holds nothing, with `settings` like `fsync=off` beside its own.
    pub fn start(settings: &[&str]) -> Result<Self> {
        Self::start_in(cluster()?, settings)
    }

    /// Starts a server that lets in only who encrypts, with this certificate and key, both as PEM.
    pub fn start_with_tls(certificate: &str, key: &str) -> Result<Self> {
        let folder = cluster()?;
        let data = folder.path().join("data");
        fs::write(data.join("server.crt"), certificate)?;
        fs::write(data.join("server.key"), key)?;
        fs::set_permissions(data.join("server.key"), Permissions::from_mode(0o600))?;
        fs::write(
            data.join("pg_hba.conf"),
            "hostssl all all 127.0.0.1/32 scram-sha-256\n",
        )?;
        own(folder.path())?;
        Self::start_in(folder, &["ssl=on"])
    }

    fn start_in(folder: TempDir, settings: &[&str]) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let settings: Vec<_> = settings.iter().map(|&setting| setting.to_owned()).collect();
        let process = spawn(folder.path(), port, &settings)?;
        let server = Self {
            process,
            port,
            settings,
            folder,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The address of its database `postgres`.
    pub fn url(&self) -> String {
        format!("postgres://postgres:secret@127.0.0.1:{}/postgres", self.port)
    }

    /// Ends it as a crash would, and starts it again on the same port.
    pub fn crash(&mut self) -> Result<()> {
        self.end();
        self.process = spawn(self.folder.path(), self.port, &self.settings)?;
        self.wait_until_ready()
    }

    /// Ends all its processes at once, without writing anything.
    fn end(&mut self) {
        if let Some(process) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(process, Signal::QUIT);
        }
        let _ = self.process.wait();
    }

    fn wait_until_ready(&self) -> Result<()> {
        let log = self.folder.path().join("data/log");
        wait::until("PostgreSQL", Duration::from_secs(120), || {
            let is_there = TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            let said = fs::read_to_string(&log).unwrap_or_default();
            Ok((is_there && said.contains("ready to accept connections")).then_some(()))
        })
        .with_context(|| fs::read_to_string(&log).unwrap_or_default())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

/// A folder with what a new server needs.
fn cluster() -> Result<TempDir> {
    let folder = TempDir::with_prefix("haul-postgres-")?;
    let password = folder.path().join("password");
    fs::write(&password, "secret")?;
    own(folder.path())?;
    run(as_user("initdb")?
        .args([
            "--no-sync",
            "--username=postgres",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
        ])
        .arg(format!("--pwfile={}", password.display()))
        .arg("--pgdata")
        .arg(folder.path().join("data")))?;
    Ok(folder)
}

/// It refuses to run as root, but Debian's package has made a user for it: makes the folder that user's.
fn own(folder: &Path) -> Result<()> {
    match is_root() {
        true => run(Command::new("chown").args(["-R", "postgres"]).arg(folder)),
        false => Ok(()),
    }
}

fn spawn(folder: &Path, port: u16, settings: &[String]) -> Result<Child> {
    let data = folder.join("data");
    let log = fs::File::create(data.join("log"))?;
    let mut command = as_user("postgres")?;
    command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
    let own = ["listen_addresses=127.0.0.1", "unix_socket_directories="];
    for setting in own.into_iter().chain(settings.iter().map(String::as_str)) {
        command.args(["-c", setting]);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("cannot start PostgreSQL")
}

/// One of its programs: on the path, or the newest that Debian has.
pub(crate) fn program(name: &str) -> Result<PathBuf> {
    if let Ok(found) = trials::program(name) {
        return Ok(found);
    }
    let version = |entry: &fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let mut versions: Vec<_> = fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((version(&entry)?, entry.path().join("bin").join(name))))
        .filter(|(_, program)| program.is_file())
        .collect();
    versions.sort_unstable();
    match versions.pop() {
        Some((_, program)) => Ok(program),
        None => bail!("PostgreSQL is not installed"),
    }
}

/// A command that runs it as somebody who is not root.
fn as_user(name: &str) -> Result<Command> {
    let program = program(name)?;
    if !is_root() {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(program);
    Ok(command)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn run(command: &mut Command) -> Result<()> {
    let ended = command.stdin(Stdio::null()).output()?;
    ensure!(
        ended.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}
