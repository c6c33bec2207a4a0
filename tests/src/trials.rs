use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Result, bail};
use libtest_mimic::{Arguments, Failed, Trial};

use crate::{postgres, seaweedfs};

/// Something that a test needs and that may be missing on this machine.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program on the path (or in `/usr/sbin`).
    Program(&'static str),
    /// A program that has something to say to these arguments.
    Output(&'static str, &'static [&'static str]),
    /// The right to mount file systems in a namespace of one's own.
    Mount,
    /// A SeaweedFS, wherever it was installed.
    SeaweedFs,
    /// A PostgreSQL server, on the path or where Debian has it.
    Postgres,
}

impl Need {
    /// Why it is not met.
    fn missing(self) -> Option<String> {
        match self {
            Self::Program(name) => (!on_path(name)).then(|| format!("{name} is not installed")),
            Self::Output(name, arguments) => (!has_output(name, arguments))
                .then(|| format!("`{name} {}` has nothing to say", arguments.join(" "))),
            Self::Mount => (!may_mount()).then(|| "this user may not mount (unshare --mount)".to_owned()),
            Self::Postgres => postgres::program("postgres").err().map(|error| format!("{error:#}")),
            Self::SeaweedFs => seaweedfs::program().err().map(|_| {
                "SeaweedFS is not installed: `cargo xtask test` does it, or name its program in RETRIEVE_SEAWEEDFS".to_owned()
            }),
        }
    }
}

/// Reads no more than the first byte.
fn has_output(name: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(name);
    let started = command
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut process) = started else {
        return false;
    };
    let has_output = process
        .stdout
        .take()
        .is_some_and(|mut output| output.read_exact(&mut [0]).is_ok());
    let _ = process.wait();
    has_output
}

fn may_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["--mount", "true"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// The list of tests, and the report of what ran.
#[derive(Default)]
pub struct Bench {
    trials: Vec<Trial>,
}

impl Bench {
    /// Adds a test. Where a need is not met it is ignored, and its line says why.
    pub fn test(
        &mut self,
        name: impl Into<String>,
        needs: &[Need],
        run: impl FnOnce() -> Result<()> + Send + 'static,
    ) {
        let name = name.into();
        let missing = needs.iter().find_map(|need| need.missing());
        let trial = Trial::test(name.clone(), move || {
            run().map_err(|error| Failed::from(format!("{error:#}")))?;
            record("ran", &name).map_err(|error| Failed::from(format!("{error:#}")))
        });
        self.trials.push(match missing {
            Some(reason) => trial.with_kind(reason).with_ignored_flag(true),
            None => trial,
        });
    }

    /// Adds a test that cannot be run here, for a reason that its line says.
    pub fn ignore(&mut self, name: impl Into<String>, reason: &str) {
        let trial = Trial::test(name, || Err(Failed::from("it cannot be run here")));
        self.trials.push(trial.with_kind(reason).with_ignored_flag(true));
    }

    /// Runs what the command line chooses, two at a time unless it says otherwise.
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        arguments.test_threads.get_or_insert(2);
        for trial in self.trials.iter().filter(|trial| trial.has_ignored_flag()) {
            if let Err(error) = record("ignored", trial.name()) {
                return failed(&error);
            }
        }
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the report cannot be written, so it is said here"
)]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// Adds a line to the file that `HAUL_TEST_REPORT` names, if it names one.
fn record(word: &str, name: &str) -> Result<()> {
    let Some(path) = std::env::var_os("HAUL_TEST_REPORT") else {
        return Ok(());
    };
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    Ok(file.write_all(format!("{word} {name}\n").as_bytes())?)
}

/// Where a program is.
pub(crate) fn program(name: &str) -> Result<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    let mut found = folders
        .map(|folder| folder.join(name))
        .filter(|program| program.is_file());
    match found.next() {
        Some(program) => Ok(program),
        None => bail!("{name} is not installed"),
    }
}

fn on_path(name: &str) -> bool {
    program(name).is_ok()
}
