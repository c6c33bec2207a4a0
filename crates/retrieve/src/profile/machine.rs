//! What Linux tells in `/proc`, see proc(5). Other systems tell nothing.

use std::fs;

/// Ticks in a second of `/proc/*/stat`: `USER_HZ`, which Linux has fixed for programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// Counters and levels of one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) cores: Option<Vec<CoreTicks>>,
    pub(super) cpu: Option<ProcessCpu>,
    pub(super) memory: Option<Memory>,
    pub(super) network: Option<Network>,
    pub(super) disk: Option<Disk>,
}

/// Time of one core since the machine has booted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoreTicks {
    pub(super) busy: u64,
    pub(super) total: u64,
}

/// CPU seconds of this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProcessCpu {
    pub(super) user: f64,
    pub(super) system: f64,
}

/// Bytes of this process in memory, now and at most so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) rss: u64,
    pub(super) peak: u64,
}

/// Bytes over all interfaces but loopback, and over loopback.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) loopback: u64,
}

/// Bytes of this process that really went from and to disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disk {
    pub(super) read: u64,
    pub(super) written: u64,
}

impl Reading {
    pub(super) fn take() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        Self {
            cores: read("/proc/stat").as_deref().and_then(cores),
            cpu: read("/proc/self/stat").as_deref().and_then(process_cpu),
            memory: read("/proc/self/status").as_deref().and_then(memory),
            network: read("/proc/self/net/dev").as_deref().map(network),
            disk: read("/proc/self/io").as_deref().and_then(disk),
        }
    }
}

/// The lines `cpu0 user nice system idle iowait irq softirq steal guest guest_nice`; guests are in `user` already.
pub(super) fn cores(stat: &str) -> Option<Vec<CoreTicks>> {
    let is_core = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let cores: Vec<_> = stat.lines().filter(is_core).map(core).collect();
    Some(cores).filter(|cores| !cores.is_empty())
}

fn core(line: &str) -> CoreTicks {
    let ticks: Vec<u64> = numbers(line).take(8).collect();
    let total = ticks.iter().sum();
    let idle: u64 = ticks.iter().skip(3).take(2).sum();
    CoreTicks {
        busy: total - idle,
        total,
    }
}

/// Fields 14 and 15, counted from behind the program's name, which may hold anything.
pub(super) fn process_cpu(stat: &str) -> Option<ProcessCpu> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let mut seconds = || Some(times.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some(ProcessCpu {
        user: seconds()?,
        system: seconds()?,
    })
}

pub(super) fn memory(status: &str) -> Option<Memory> {
    let bytes = |name| field(status, name).map(|kibibytes| kibibytes * 1024);
    Some(Memory {
        rss: bytes("VmRSS:")?,
        peak: bytes("VmHWM:")?,
    })
}

/// The lines `name: bytes packets errs drop fifo frame compressed multicast bytes ...`, received before sent.
pub(super) fn network(dev: &str) -> Network {
    let mut sum = Network::default();
    for (name, counters) in dev.lines().filter_map(|line| line.split_once(':')) {
        let mut counters = numbers(counters);
        let received = counters.next().unwrap_or(0);
        let sent = counters.nth(7).unwrap_or(0);
        if name.trim() == "lo" {
            sum.loopback += received;
        } else {
            sum.received += received;
            sum.sent += sent;
        }
    }
    sum
}

pub(super) fn disk(io: &str) -> Option<Disk> {
    Some(Disk {
        read: field(io, "read_bytes:")?,
        written: field(io, "write_bytes:")?,
    })
}

/// The number behind `name` at the beginning of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    numbers(rest).next()
}

fn numbers(text: &str) -> impl Iterator<Item = u64> {
    text.split_whitespace().filter_map(|word| word.parse().ok())
}
