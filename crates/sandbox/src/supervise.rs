//! Watches one job until nothing of it is left.

use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::folder::Size;
use crate::groups::{Group, Used};
use crate::job::{Ended, JobLimits, Usage};
use crate::launch::Launched;
use crate::wire::Status;

/// How often memory is looked at.
const TICK: Duration = Duration::from_millis(100);
/// The part of one processor that looking at the disk may take: one of so many.
const MEASURING_SHARE: u32 = 50;
/// Between two looks at the disk.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So near to its limit, a folder is full: another block does not fit.
const ALMOST_BYTES: u64 = 64 * 1024;
/// bwrap, as shells do, reports a signal as this and its number.
const SIGNALLED: i32 = 128;
const LAST_SIGNAL: i32 = 64;
const UNMADE: &str =
    "the sandbox could not be made or has no such program; bwrap says why on the job's standard error";

/// Waits until it has ended or must end, then ends all of it.
pub(crate) fn supervise(mut job: Launched, limits: &JobLimits, stop: &OwnedFd) -> (Ended, Usage) {
    let started = Instant::now();
    let mut watch = Watch::new(limits, started);
    if let Err(error) = watch.until_end(&job, stop) {
        tracing::error!(%error, "a job cannot be watched; it is ended");
    }
    job.members.kill();
    let status = job.process.0.wait();
    watch.measure(&job);
    let used = job.group.as_ref().map(Group::used).unwrap_or_default();
    let usage = Usage {
        wall: started.elapsed(),
        cpu: used.cpu,
        peak_memory_bytes: used.peak_memory_bytes,
        disk_bytes: watch.most_bytes,
        refused_processes: used.refused_processes,
    };
    (watch.verdict(&used, status, exit_code(&mut job)), usage)
}

/// What bwrap said that the program's end was.
fn exit_code(job: &mut Launched) -> Option<i32> {
    let mut text = String::new();
    // Everybody who could write is gone, so this ends; what cannot be read tells nothing.
    let _ = job.control.read_to_string(&mut text);
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Status>(line).ok());
    lines.filter_map(|status| status.exit_code).next_back()
}

struct Watch<'a> {
    limits: &'a JobLimits,
    deadline: Instant,
    /// Why it must end, when we decided so.
    cause: Option<Ended>,
    /// When all of it is killed, after it was asked to end.
    kill_at: Option<Instant>,
    measure_at: Instant,
    size: Size,
    most_bytes: u64,
}

impl<'a> Watch<'a> {
    fn new(limits: &'a JobLimits, now: Instant) -> Self {
        Self {
            limits,
            // A time limit beyond what the clock can say is none.
            deadline: now
                .checked_add(limits.time)
                .unwrap_or(now + Duration::from_secs(u32::MAX.into())),
            cause: None,
            kill_at: None,
            measure_at: now,
            size: Size::default(),
            most_bytes: 0,
        }
    }

    /// Returns when bwrap has ended or when everything is to be killed.
    fn until_end(&mut self, job: &Launched, stop: &OwnedFd) -> io::Result<()> {
        let id = job.process.0.id();
        let process = i32::try_from(id)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidData)?;
        let process = pidfd_open(process, PidfdFlags::empty())?;
        loop {
            let stop = self.kill_at.is_none().then_some(stop);
            match wait(&process, stop, self.until_next())? {
                Event::Ended => return Ok(()),
                Event::Asked => self.ask(job, Ended::Stopped),
                Event::Time => self.look(job),
            }
            if self.kill_at.is_some_and(|at| at <= Instant::now()) {
                return Ok(());
            }
        }
    }

    fn until_next(&self) -> Duration {
        let next = self.kill_at.unwrap_or(self.deadline);
        next.saturating_duration_since(Instant::now()).min(TICK)
    }

    /// SIGTERM now, SIGKILL after the grace.
    fn ask(&mut self, job: &Launched, cause: Ended) {
        self.cause.get_or_insert(cause);
        let now = Instant::now();
        self.kill_at
            .get_or_insert(now.checked_add(self.limits.grace).unwrap_or(now));
        job.members.ask_to_end(job.process.0.id());
    }

    fn end_now(&mut self, cause: Ended) {
        self.cause.get_or_insert(cause);
        self.kill_at = Some(Instant::now());
    }

    fn look(&mut self, job: &Launched) {
        let now = Instant::now();
        if job
            .group
            .as_ref()
            .is_some_and(|group| group.used().killed_for_memory > 0)
        {
            return self.end_now(Ended::OutOfMemory);
        }
        if now >= self.measure_at {
            self.measure(job);
            let pause = now.elapsed().saturating_mul(MEASURING_SHARE);
            self.measure_at = Instant::now() + pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
        if self.is_over_disk() {
            return self.end_now(Ended::DiskFull);
        }
        if now >= self.deadline && self.kill_at.is_none() {
            self.ask(job, Ended::TimedOut);
        }
    }

    fn measure(&mut self, job: &Launched) {
        let mut size = Size::default();
        let processes = job.members.processes();
        for folder in &job.folders {
            if let Err(error) = folder.measure(&mut size, self.limits.files) {
                tracing::warn!(%error, "a job's folder cannot be measured");
            }
            folder.measure_nameless(&mut size, &processes);
        }
        self.most_bytes = self.most_bytes.max(size.bytes);
        self.size = size;
    }

    fn is_over_disk(&self) -> bool {
        self.size.bytes > self.limits.disk_bytes || self.size.files > self.limits.files || self.size.is_hidden
    }

    /// Whether a write may well have been refused.
    fn is_disk_full(&self) -> bool {
        let full = self.limits.disk_bytes.saturating_sub(ALMOST_BYTES);
        self.is_over_disk() || self.size.bytes >= full || self.size.longest >= self.limits.disk_bytes
    }

    fn verdict(self, used: &Used, status: io::Result<ExitStatus>, code: Option<i32>) -> Ended {
        if let Some(cause) = self.cause {
            return cause;
        }
        if used.killed_for_memory > 0 {
            return Ended::OutOfMemory;
        }
        let ended = match (code, status) {
            (Some(code), _) => ended_with(code),
            (None, Ok(status)) => ended_early(status),
            (None, Err(error)) => Ended::NotStarted(format!("it cannot be waited for: {error}")),
        };
        match ended {
            Ended::Exited(0) | Ended::NotStarted(_) if !self.is_over_disk() => ended,
            _ if self.is_disk_full() => Ended::DiskFull,
            ended => ended,
        }
    }
}

fn ended_with(code: i32) -> Ended {
    match code - SIGNALLED {
        signal @ 1..=LAST_SIGNAL => Ended::Signalled(signal),
        _ => Ended::Exited(code),
    }
}

/// How bwrap itself ended, before it could say how the program did.
fn ended_early(status: ExitStatus) -> Ended {
    match status.signal() {
        Some(signal) => Ended::Signalled(signal),
        None => Ended::NotStarted(UNMADE.to_owned()),
    }
}

enum Event {
    Ended,
    Asked,
    Time,
}

fn wait(process: &OwnedFd, stop: Option<&OwnedFd>, time: Duration) -> io::Result<Event> {
    let mut watched = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
    watched.extend(stop.map(|stop| PollFd::from_borrowed_fd(stop.as_fd(), PollFlags::IN)));
    let time = Timespec {
        tv_sec: time.as_secs().cast_signed(),
        tv_nsec: time.subsec_nanos().into(),
    };
    match poll(&mut watched, Some(&time)) {
        Err(rustix::io::Errno::INTR) => return Ok(Event::Time),
        result => result?,
    };
    let mut ready = watched.iter().map(|each| !each.revents().is_empty());
    Ok(match (ready.next(), ready.next()) {
        (Some(true), _) => Event::Ended,
        (_, Some(true)) => Event::Asked,
        _ => Event::Time,
    })
}
