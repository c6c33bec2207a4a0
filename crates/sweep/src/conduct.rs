//! Makes the runs of a plan, one after the other, each in a process of its own.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::matrix;
use crate::plan::Plan;
use crate::results::{Results, Run};
use crate::shuffle;
use crate::trial::{self, Outcome, Trial};

/// What a sweep works with.
#[derive(Clone, Debug)]
pub struct Workplace {
    /// The program that makes one run: it calls [`serve_trial`].
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its version.
    pub version: String,
    /// The folder for the samples of all runs, which exists; they are not kept where none.
    pub profiles: Option<PathBuf>,
    /// Where runs save files, unless the plan says where.
    pub scratch: PathBuf,
}

/// How far a sweep is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Runs that have ended, warm-up included.
    pub done: usize,
    /// All runs.
    pub total: usize,
    /// What is being measured.
    pub label: String,
}

/// Is told how far a sweep is, at least ten times a second, and may end it.
pub type Watch<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// How often a running process is looked at. It measures itself, so this costs no accuracy.
const LOOK: Duration = Duration::from_millis(20);
/// More than any outcome has: 120 times, 64 cores.
const MAX_ANSWER: u64 = 16 << 20;
const MAX_TALK: u64 = 16 << 10;

/// Follows a plan to its end, or until `watch` breaks it off: the run that was being made is left out then.
pub fn conduct(plan: &Plan, workplace: &Workplace, watch: Watch<'_>) -> Results {
    let started = unix_ms();
    let labels = matrix::labels(&plan.configurations);
    let mut runs = vec![Vec::new(); plan.configurations.len()];
    let mut progress = Progress {
        total: plan.runs(),
        ..Progress::default()
    };
    let first_round = if plan.warm_up { 0 } else { 1 };
    'rounds: for round in first_round..=plan.rounds {
        for number in shuffle::order(runs.len(), plan.seed, round) {
            progress.label.clone_from(&labels[number]);
            let trial = plan.trial(workplace, number, round);
            let began = unix_ms();
            let ended = run(plan, workplace, &trial, &mut || watch(&progress));
            let ControlFlow::Continue(outcome) = ended else {
                break 'rounds;
            };
            progress.done += 1;
            if round > 0 {
                runs[number].push(record(&trial, round, began, outcome));
            }
        }
    }
    Results::new(
        plan,
        &workplace.version,
        Machine::read(),
        (started, unix_ms()),
        runs,
    )
}

impl Plan {
    /// Round 0 is the warm-up, of which nothing is kept.
    fn trial(&self, workplace: &Workplace, number: usize, round: u32) -> Trial {
        let profile = |folder: &PathBuf| folder.join(format!("c{}-r{round}.jsonl", number + 1));
        Trial {
            addresses: self.addresses.clone(),
            configuration: self.configurations[number].clone(),
            scratch: self.scratch.as_ref().unwrap_or(&workplace.scratch).clone(),
            profile: workplace.profiles.as_ref().map(profile).filter(|_| round > 0),
        }
    }
}

fn record(trial: &Trial, round: u32, started_unix_ms: u64, outcome: Outcome) -> Run {
    let relative = |path: &PathBuf| {
        let (folder, name) = (path.parent()?.file_name()?, path.file_name()?);
        Some(format!("{}/{}", folder.to_string_lossy(), name.to_string_lossy()))
    };
    Run {
        round,
        started_unix_ms,
        profile: trial.profile.as_ref().and_then(relative),
        outcome,
    }
}

/// Makes one run; it is ended when it takes too long or is not wanted any more.
fn run(
    plan: &Plan,
    workplace: &Workplace,
    trial: &Trial,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> ControlFlow<(), Outcome> {
    let mut process = match Process::start(workplace, trial) {
        Ok(process) => process,
        Err(error) => return ControlFlow::Continue(failed(format!("the run cannot be started: {error}"))),
    };
    let started = Instant::now();
    while !process.is_over() {
        if go_on().is_break() {
            process.kill();
            return ControlFlow::Break(());
        }
        if started.elapsed() > Duration::from_millis(plan.limit_ms) {
            process.kill();
            return ControlFlow::Continue(Outcome::TimedOut);
        }
        thread::sleep(LOOK);
    }
    go_on()?;
    ControlFlow::Continue(process.outcome())
}

fn failed(error: String) -> Outcome {
    Outcome::Failed { error }
}

/// A run in its process. Its standard input stays open as long as it is wanted.
struct Process {
    child: Child,
    answer: JoinHandle<String>,
    talk: JoinHandle<String>,
}

impl Process {
    fn start(workplace: &Workplace, trial: &Trial) -> io::Result<Self> {
        let mut command = Command::new(&workplace.program);
        command.args(&workplace.arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C in a terminal goes to a whole group; ours decides for itself what becomes of the run.
        command.process_group(0);
        let mut child = command.spawn()?;
        let answer = gather(child.stdout.take(), MAX_ANSWER);
        let talk = gather(child.stderr.take(), MAX_TALK);
        if let Some(stdin) = &mut child.stdin {
            serde_json::to_writer(&mut *stdin, trial)?;
            stdin.write_all(b"\n")?;
        }
        Ok(Self { child, answer, talk })
    }

    fn is_over(&mut self) -> bool {
        // Where the system does not know the process, nothing is left to wait for.
        self.child.try_wait().map_or(true, |status| status.is_some())
    }

    fn kill(mut self) {
        // It may have ended just now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn outcome(mut self) -> Outcome {
        let answer = self.answer.join().unwrap_or_default();
        let talk = self.talk.join().unwrap_or_default();
        let status = self
            .child
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = talk.trim().lines().last().unwrap_or_default();
        serde_json::from_str(&answer)
            .unwrap_or_else(|_| failed(format!("the run gave no figures ({status}): {said}")))
    }
}

/// Reads to the end, so that the process is never held up, and keeps the first `most` bytes.
fn gather(from: Option<impl Read + Send + 'static>, most: u64) -> JoinHandle<String> {
    thread::spawn(move || {
        let Some(mut from) = from else {
            return String::new();
        };
        let mut kept = Vec::new();
        // What cannot be read was not said.
        let _ = from.by_ref().take(most).read_to_end(&mut kept);
        let _ = io::copy(&mut from, &mut io::sink());
        String::from_utf8_lossy(&kept).into_owned()
    })
}

/// The other side: reads a trial from `input`, performs it and writes its outcome. `stores` says how the stores of the
/// trial's addresses are reached, or why not. When `input` ends before that, nobody waits for the outcome any more, and
/// `abandoned` is called.
///
/// # Errors
///
/// When the trial cannot be read or the outcome cannot be written.
pub fn serve_trial(
    input: impl Read + Send + 'static,
    mut output: impl Write,
    stores: impl FnOnce(&Trial) -> Result<Vec<(String, String)>, String>,
    abandoned: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = String::new();
    input.by_ref().take(MAX_ANSWER).read_line(&mut line)?;
    let trial: Trial = serde_json::from_str(&line)?;
    thread::spawn(move || {
        let _ = io::copy(&mut input, &mut io::sink());
        abandoned();
    });
    let outcome = stores(&trial).map_or_else(failed, |stores| trial::perform(&trial, &stores));
    serde_json::to_writer(&mut output, &outcome)?;
    output.flush()
}

/// The one place that looks at the clock of the day.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
