use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Result;
use sandbox::{Ability, Container, Ended, Job, JobLimits, Network, Running, Sandbox, SandboxOptions, Usage};
use tempfile::TempDir;
use tests::Bench;

/// Nobody else on a machine that runs tests uses these.
pub(crate) const FIRST_UID: u32 = 700_000;

/// Names the socket of a container engine that jobs are to be contained with.
pub(crate) const ENGINE: &str = "HAUL_SANDBOX_ENGINE";

pub(crate) fn engine() -> Option<PathBuf> {
    std::env::var_os(ENGINE).map(PathBuf::from)
}

/// One for all tests of this process.
pub(crate) fn sandbox() -> &'static Sandbox {
    static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
    SANDBOX.get_or_init(|| make_sandbox("test"))
}

/// The word shows in the command line of every process that contains.
pub(crate) fn make_sandbox(word: &str) -> Sandbox {
    let program = std::env::current_exe().expect("a test knows its program");
    let container = engine().map_or(Container::Bubblewrap, |socket| Container::Engine { socket });
    Sandbox::detect(SandboxOptions {
        container,
        contain: vec![program.into(), "contain".into(), word.into()],
        first_uid: FIRST_UID,
        accept_lacks: vec![Ability::Memory, Ability::Processes, Ability::Cpu],
    })
}

pub(crate) fn is_root() -> bool {
    nix::unistd::Uid::effective().is_root()
}

/// Adds a test that needs an ability which this machine, or this user, may lack.
pub(crate) fn test_with(
    bench: &mut Bench,
    ability: Ability,
    name: &str,
    run: impl FnOnce() -> Result<()> + Send + 'static,
) {
    match sandbox().lacks().iter().find(|lack| lack.ability == ability) {
        Some(lack) => bench.ignore(name, &lack.reason),
        None => bench.test(name, &[], run),
    }
}

pub(crate) fn limits() -> JobLimits {
    JobLimits {
        memory_bytes: 256 << 20,
        processes: 64,
        cpu_weight: 100,
        disk_bytes: 64 << 20,
        files: 10_000,
        tmp_bytes: 8 << 20,
        time: Duration::from_secs(20),
        grace: Duration::from_millis(300),
    }
}

/// A job with a folder of its own.
pub(crate) struct Case {
    pub(crate) folder: TempDir,
    pub(crate) job: Job,
}

impl Case {
    pub(crate) fn new(command: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let job = Job {
            name: "case".to_owned(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            environment: vec![("PATH".to_owned(), "/usr/bin:/bin:/usr/sbin:/sbin".to_owned())],
            folder: folder.path().to_owned(),
            mounts: Vec::new(),
            network: Network::None,
            limits: limits(),
        };
        Ok(Self { folder, job })
    }

    pub(crate) fn shell(script: &str) -> Result<Self> {
        Self::new(&["/bin/sh", "-c", script])
    }

    pub(crate) fn perl(script: &str) -> Result<Self> {
        Self::new(&["/usr/bin/perl", "-e", script])
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Job)) -> Self {
        change(&mut self.job);
        self
    }

    pub(crate) fn limited(self, change: impl FnOnce(&mut JobLimits)) -> Self {
        self.with(|job| change(&mut job.limits))
    }

    pub(crate) fn start(&self) -> Result<Started> {
        let mut running = sandbox().start(self.job.clone())?;
        let stdout = read_all(running.stdout.take());
        let stderr = read_all(running.stderr.take());
        Ok(Started {
            running,
            stdout,
            stderr,
        })
    }

    pub(crate) fn run(&self) -> Result<Done> {
        self.start()?.wait()
    }
}

/// A job whose streams are read.
pub(crate) struct Started {
    pub(crate) running: Running,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Started {
    pub(crate) fn wait(self) -> Result<Done> {
        let (ended, usage) = self.running.wait();
        let [stdout, stderr] =
            [self.stdout, self.stderr].map(|text| text.join().expect("reading does not panic"));
        Ok(Done {
            ended,
            usage,
            stdout,
            stderr,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ended: Ended,
    pub(crate) usage: Usage,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

fn read_all(stream: Option<OwnedFd>) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            File::from(stream)
                .read_to_end(&mut bytes)
                .expect("a pipe can be read");
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A command that takes a minute and can be told from that of any other test, also of another run of these tests.
pub(crate) fn long_sleep(number: u32) -> String {
    format!("sleep 6{number}.{:07}", std::process::id())
}

/// The processes of this machine that have this word in their command line.
pub(crate) fn processes_with(word: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("there is /proc").flatten();
    let lines = entries.filter_map(|entry| {
        let bytes = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
    });
    lines.filter(|line| line.contains(word)).collect()
}

pub(crate) fn open_to_all(path: &Path) -> Result<()> {
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}
