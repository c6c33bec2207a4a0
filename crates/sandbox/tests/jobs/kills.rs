//! A worker that is killed leaves nothing, whenever that is.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use tests::Bench;
use tests::wait::until;

use crate::fixture::{Case, make_sandbox, processes_with};

/// How many moments by default; `HAUL_SANDBOX_KILLS` asks for more.
const KILLS: u32 = 6;
/// From the start of the worker until it has run some jobs.
const LIFE: Duration = Duration::from_millis(400);

pub(crate) fn add(bench: &mut Bench) {
    bench.test(
        "a_killed_worker_leaves_nothing_at_any_moment",
        &[],
        killed_at_any_moment,
    );
    bench.test(
        "what_worker_and_reaper_left_is_removed_by_the_next",
        &[],
        next_removes,
    );
}

/// What the killed program does: job after job, two at a time, each with this word in its command.
pub(crate) fn worker() -> ExitCode {
    let word = std::env::args().nth(2).unwrap_or_default();
    let sandbox = make_sandbox(&word);
    loop {
        let start = |seconds: &str| {
            let case = Case::new(&["/bin/sh", "-c", "sleep $1", &word, seconds])?;
            anyhow::Ok((sandbox.start(case.job.clone())?, case))
        };
        let (Ok((short, _short)), Ok((_long, _case))) = (start("0.02"), start("62.5")) else {
            return ExitCode::FAILURE;
        };
        short.wait();
    }
}

fn start_worker(word: &str) -> Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command.args(["worker", word]).stdout(Stdio::null()).spawn()?)
}

fn killed_at_any_moment() -> Result<()> {
    let kills = std::env::var("HAUL_SANDBOX_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(KILLS);
    for moment in 0..kills {
        let word = format!("victim-{}-{moment}", std::process::id());
        let mut worker = start_worker(&word)?;
        std::thread::sleep(LIFE * moment / kills);
        worker.kill()?;
        worker.wait()?;
        nothing_is_left(&word, worker.id())?;
    }
    Ok(())
}

fn nothing_is_left(word: &str, worker: u32) -> Result<()> {
    let left = || [processes_with(word), groups_of(worker)].concat();
    let gone = until("everything to be gone", Duration::from_secs(20), || {
        Ok(left().is_empty().then_some(()))
    });
    gone.with_context(|| format!("left: {:?}", left()))
}

/// The control groups that this worker made, wherever.
fn groups_of(worker: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut pending = vec![Path::new("/sys/fs/cgroup").to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("haul-") && name.contains(&format!("-{worker}-")) {
                found.push(name);
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                pending.push(entry.path());
            }
        }
    }
    found
}

/// Both are killed in one moment, so control groups stay; a job may stay where it was being set up.
fn next_removes() -> Result<()> {
    let word = format!("victim-of-both-{}", std::process::id());
    let mut worker = start_worker(&word)?;
    until("a job to run", Duration::from_secs(20), || {
        let is_running = processes_with(&word)
            .iter()
            .any(|line| line.starts_with("/bin/sh"));
        Ok(is_running.then_some(()))
    })?;
    let reapers = processes_numbered(&format!("contain {word}"));
    for process in reapers.into_iter().chain([worker.id().cast_signed()]) {
        // One of them may just have become a job.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(process), nix::sys::signal::SIGKILL);
    }
    worker.wait()?;
    drop(make_sandbox("next"));
    nothing_is_left(&word, worker.id())
}

fn processes_numbered(word: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_word = |number: &i32| {
        let bytes = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).replace('\0', " ").contains(word)
    };
    numbers.filter(has_word).collect()
}
