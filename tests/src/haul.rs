use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// How long a command may take before the test fails.
const LIMIT: Duration = Duration::from_secs(120);

/// The real binary with a data folder of its own, which goes with it.
pub struct Haul {
    binary: PathBuf,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// What the process told whoever started it; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote for programs.
    pub stdout: String,
    /// What it said to people.
    pub stderr: String,
}

/// A command that runs; killed when dropped.
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Haul {
    /// A fresh data folder. The binary is the one that `HAUL_BIN` names, else the one built beside this test.
    pub fn new() -> Result<Self> {
        Self::within(TempDir::with_prefix("haul-test-")?)
    }

    /// As [`Self::new`], in a folder that is there already.
    pub fn within(folder: TempDir) -> Result<Self> {
        Ok(Self {
            binary: binary()?,
            folder,
            environment: Vec::new(),
        })
    }

    /// Sets a variable of the environment for every command.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for the test's other files; the data folder lies in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The binary.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Runs a command on the data folder to its end.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Ended> {
        self.start(arguments)?.wait()
    }

    /// Runs a command that must end with `code`.
    pub fn expect<S: AsRef<OsStr>>(&self, code: i32, arguments: &[S]) -> Result<Ended> {
        let ended = self.run(arguments)?;
        let said: Vec<_> = arguments
            .iter()
            .map(|word| word.as_ref().to_string_lossy())
            .collect();
        ensure!(
            ended.code == Some(code),
            "haul {} must end with {code}: {ended:#?}",
            said.join(" ")
        );
        Ok(ended)
    }

    /// Starts a command on the data folder.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Running> {
        let mut command = Command::new(&self.binary);
        command.args(arguments);
        self.start_as(command)
    }

    /// Starts a prepared command (a shell around the binary, say) as if it were the binary.
    pub fn start_as(&self, mut command: Command) -> Result<Running> {
        let talk = TempDir::with_prefix_in("talk-", self.folder.path())?.keep();
        let (stdout, stderr) = (talk.join("stdout"), talk.join("stderr"));
        // What the person who runs the tests has set up for their own Haul, and the tests' own variables, stay outside.
        let ours = std::env::vars_os().map(|(name, _)| name);
        ours.filter(|name| name.to_string_lossy().starts_with("HAUL_"))
            .for_each(|name| _ = command.env_remove(name));
        command
            .env("HAUL_DATA", self.data())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Running {
            child,
            stdout,
            stderr,
        })
    }

    /// The items of a source, as `item list --json` writes them, in order of their ids.
    pub fn items(&self, source: &str) -> Result<Vec<Value>> {
        let ended = self.expect(0, &["item", "list", source, "--json", "-n", "100000"])?;
        ended
            .stdout
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// The answer to a search, as `search --json` writes it.
    pub fn search(&self, words: &str) -> Result<Value> {
        self.run(&["search", "--json", words])?.json()
    }
}

impl Running {
    /// The id of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the end, two minutes at most.
    pub fn wait(mut self) -> Result<Ended> {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if started.elapsed() > LIMIT {
                bail!("haul ran for {} s; it said: {}", LIMIT.as_secs(), self.said()?);
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        let read =
            |path: &Path| -> Result<String> { Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned()) };
        Ok(Ended {
            code: status.code(),
            stdout: read(&self.stdout)?,
            stderr: read(&self.stderr)?,
        })
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// `kill -9`; whatever it was doing.
    pub fn kill(mut self) -> Result<Ended> {
        self.child.kill()?;
        self.wait()
    }

    /// Asks it to stop, as Ctrl-C does, and waits for the end.
    pub fn interrupt(self) -> Result<Ended> {
        self.signal(Signal::INT)?;
        self.wait()
    }

    /// Lets it stand still until it is [resumed](Self::resume).
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let id = i32::try_from(self.child.id())?;
        Ok(kill_process(Pid::from_raw(id).context("no process")?, signal)?)
    }

    /// What it has written for programs so far.
    pub fn written(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.stdout)?).into_owned())
    }

    /// What it has said on stderr so far.
    pub fn said(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(&self.stderr)?).into_owned())
    }

    /// Waits until it says `word`; returns the rest of that line.
    pub fn says(&mut self, word: &str) -> Result<String> {
        wait::until(&format!("haul to say {word:?}"), LIMIT, || {
            let said = self.said()?;
            if let Some((_, rest)) = said.split_once(word)
                && let Some((rest, _)) = rest.split_once('\n')
            {
                return Ok(Some(rest.to_owned()));
            }
            ensure!(
                self.child.try_wait()?.is_none(),
                "haul ended before it said {word:?}: {said}"
            );
            Ok(None)
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// What it wrote, as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).with_context(|| format!("not JSON: {self:#?}"))
    }

    /// Fails unless stderr holds every one of `words`.
    pub fn says(&self, words: &[&str]) -> Result<()> {
        for word in words {
            ensure!(self.stderr.contains(word), "{word:?} is not said: {self:#?}");
        }
        Ok(())
    }
}

fn binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("HAUL_BIN") {
        return Ok(named.into());
    }
    let this = std::env::current_exe()?;
    let profile = this
        .parent()
        .and_then(Path::parent)
        .context("the test has no folder")?;
    let binary = profile.join("haul");
    ensure!(binary.exists(), "build the binary first: cargo build -p haul");
    Ok(binary)
}
