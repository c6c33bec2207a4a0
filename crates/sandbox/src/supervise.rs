//! Watches one job until nothing of it is left.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::backend::{Contained, Exit};
use crate::folder::Size;
use crate::groups::Used;
use crate::held::Held;
use crate::job::{Ended, JobLimits, Usage};

/// How often memory is looked at.
const TICK: Duration = Duration::from_millis(100);
/// The part of one processor that looking at the disk may take: one of so many.
const MEASURING_SHARE: u32 = 50;
/// Between two looks at the disk.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What a fast disk takes.
const FAST_BYTES_PER_MS: u64 = 2 << 20;
/// Files that are in sockets in so many measurements in a row are hidden there.
const LONG_IN_FLIGHT: u32 = 3;
/// So near to its limit, a folder is full: another block does not fit.
const ALMOST_BYTES: u64 = 64 * 1024;

/// Waits until it has ended or must end, then ends all of it.
pub(crate) fn supervise(
    mut job: Box<dyn Contained + '_>,
    limits: &JobLimits,
    stop: &OwnedFd,
) -> (Ended, Usage) {
    let started = Instant::now();
    let mut watch = Watch::new(limits, started);
    if let Err(error) = watch.until_end(&*job, stop) {
        tracing::error!(%error, "a job cannot be watched; it is ended");
    }
    let (exit, used) = job.finish();
    watch.measure(&*job);
    let usage = Usage {
        wall: started.elapsed(),
        cpu: used.cpu,
        peak_memory_bytes: used.peak_memory_bytes,
        disk_bytes: watch.most_bytes,
        refused_processes: used.refused_processes,
    };
    (watch.verdict(&used, exit), usage)
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
    /// In how many measurements in a row open files were in sockets.
    in_flight: u32,
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
            in_flight: 0,
            most_bytes: 0,
        }
    }

    /// Returns when its first process has ended or when everything is to be killed.
    fn until_end(&mut self, job: &dyn Contained, stop: &OwnedFd) -> io::Result<()> {
        loop {
            let stop = self.kill_at.is_none().then_some(stop);
            match wait(job.end(), stop, self.until_next())? {
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
    fn ask(&mut self, job: &dyn Contained, cause: Ended) {
        self.cause.get_or_insert(cause);
        let now = Instant::now();
        self.kill_at
            .get_or_insert(now.checked_add(self.limits.grace).unwrap_or(now));
        job.ask_to_end();
    }

    fn end_now(&mut self, cause: Ended) {
        self.cause.get_or_insert(cause);
        self.kill_at = Some(Instant::now());
    }

    fn look(&mut self, job: &dyn Contained) {
        let now = Instant::now();
        if job.used().killed_for_memory > 0 {
            return self.end_now(Ended::OutOfMemory);
        }
        if now >= self.measure_at {
            self.measure(job);
            let pause = now
                .elapsed()
                .saturating_mul(MEASURING_SHARE)
                .min(self.until_full());
            self.measure_at = Instant::now() + pause.clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
        if self.is_over_disk() {
            return self.end_now(Ended::DiskFull);
        }
        if now >= self.deadline && self.kill_at.is_none() {
            self.ask(job, Ended::TimedOut);
        }
    }

    fn measure(&mut self, job: &dyn Contained) {
        let mut size = Size::default();
        let held = Held::by(&job.processes());
        for folder in job.folders() {
            if let Err(error) = folder.measure(&mut size, self.limits.files) {
                tracing::warn!(%error, "a job's folder cannot be measured");
            }
            folder.measure_nameless(&mut size, &held.files);
        }
        self.in_flight = if held.is_in_flight { self.in_flight + 1 } else { 0 };
        size.is_hidden |= held.is_hidden || self.in_flight >= LONG_IN_FLIGHT;
        self.most_bytes = self.most_bytes.max(size.bytes);
        self.size = size;
    }

    /// How soon a fast writer could be over its limit.
    fn until_full(&self) -> Duration {
        let room = self.limits.disk_bytes.saturating_sub(self.size.bytes);
        Duration::from_millis(room / FAST_BYTES_PER_MS)
    }

    fn is_over_disk(&self) -> bool {
        self.size.bytes > self.limits.disk_bytes || self.size.files > self.limits.files || self.size.is_hidden
    }

    /// Whether a write may well have been refused.
    fn is_disk_full(&self) -> bool {
        let full = self.limits.disk_bytes.saturating_sub(ALMOST_BYTES);
        self.is_over_disk() || self.size.bytes >= full || self.size.longest >= self.limits.disk_bytes
    }

    fn verdict(self, used: &Used, exit: Exit) -> Ended {
        if let Some(cause) = self.cause {
            return cause;
        }
        if used.killed_for_memory > 0 {
            return Ended::OutOfMemory;
        }
        let ended = match exit {
            Exit::Code(code) => Ended::Exited(code),
            Exit::Signal(signal) => Ended::Signalled(signal),
            Exit::NotStarted(why) => Ended::NotStarted(why),
        };
        match ended {
            Ended::Exited(0) | Ended::NotStarted(_) if !self.is_over_disk() => ended,
            _ if self.is_disk_full() => Ended::DiskFull,
            ended => ended,
        }
    }
}

enum Event {
    Ended,
    Asked,
    Time,
}

fn wait(end: BorrowedFd<'_>, stop: Option<&OwnedFd>, time: Duration) -> io::Result<Event> {
    let mut watched = vec![PollFd::from_borrowed_fd(end, PollFlags::IN)];
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
