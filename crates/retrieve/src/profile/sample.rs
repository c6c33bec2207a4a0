use std::time::Duration;

use serde::Serialize;

use super::machine::{CoreTicks, Disk, Network, Reading};
use crate::stats::Stats;

/// Machine, process and run at one moment; rates are those since the sample before. Null is what the system does not
/// tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sample {
    /// Since the profiler was started, in milliseconds.
    pub t_ms: u64,
    /// How busy each core was, 0 to 1, by whatever program.
    pub cores_busy: Option<Vec<f64>>,
    /// Cores that this process kept busy in its own code. The system counts in steps of 10 ms.
    pub user_cores: Option<f64>,
    /// Cores that the system kept busy on behalf of this process.
    pub system_cores: Option<f64>,
    /// Bytes of this process in memory.
    pub rss_bytes: Option<u64>,
    /// The most that it ever had.
    pub rss_peak_bytes: Option<u64>,
    /// Received over all interfaces but loopback, by whatever program.
    pub received_bytes_per_second: Option<u64>,
    /// Sent over them.
    pub sent_bytes_per_second: Option<u64>,
    /// Over loopback.
    pub loopback_bytes_per_second: Option<u64>,
    /// Read from disks by this process, page cache not counted.
    pub disk_read_bytes_per_second: Option<u64>,
    /// Written by this process, counted when pages become dirty.
    pub disk_written_bytes_per_second: Option<u64>,
    /// Wanted bytes that have come in the whole run, see [`Stats::bytes`].
    pub bytes: u64,
    /// See [`Stats::bytes_per_second`].
    pub goodput_bytes_per_second: u64,
    /// See [`Stats::connections`].
    pub connections: u64,
    /// See [`Stats::connections_allowed`].
    pub connections_allowed: u64,
    /// See [`Stats::window_bytes`].
    pub window_bytes: u64,
}

impl Sample {
    pub(super) fn between(
        before: &Reading,
        before_at: Duration,
        now: &Reading,
        at: Duration,
        run: &Stats,
    ) -> Self {
        let seconds = (at - before_at).as_secs_f64().max(1e-6);
        let network = |count: fn(&Network) -> u64| rate(&before.network, &now.network, count, seconds);
        let disk = |count: fn(&Disk) -> u64| rate(&before.disk, &now.disk, count, seconds);
        let cpu = before.cpu.zip(now.cpu);
        Self {
            t_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            cores_busy: busy(before, now),
            user_cores: cpu.map(|(before, now)| (now.user - before.user) / seconds),
            system_cores: cpu.map(|(before, now)| (now.system - before.system) / seconds),
            rss_bytes: now.memory.map(|memory| memory.rss),
            rss_peak_bytes: now.memory.map(|memory| memory.peak),
            received_bytes_per_second: network(|network| network.received),
            sent_bytes_per_second: network(|network| network.sent),
            loopback_bytes_per_second: network(|network| network.loopback),
            disk_read_bytes_per_second: disk(|disk| disk.read),
            disk_written_bytes_per_second: disk(|disk| disk.written),
            bytes: run.bytes,
            goodput_bytes_per_second: run.bytes_per_second,
            connections: run.connections,
            connections_allowed: run.connections_allowed,
            window_bytes: run.window_bytes,
        }
    }

    /// Cores that the process kept busy.
    pub fn process_cores(&self) -> Option<f64> {
        Some(self.user_cores? + self.system_cores?)
    }
}

fn rate<T>(before: &Option<T>, now: &Option<T>, count: impl Fn(&T) -> u64, seconds: f64) -> Option<u64> {
    let grown = count(now.as_ref()?).saturating_sub(count(before.as_ref()?));
    Some((grown as f64 / seconds) as u64)
}

fn busy(before: &Reading, now: &Reading) -> Option<Vec<f64>> {
    let pairs = before.cores.as_ref()?.iter().zip(now.cores.as_ref()?);
    Some(pairs.map(|(before, now)| share(before, now)).collect())
}

/// The system may take idle ticks back, so a share could leave its bounds.
fn share(before: &CoreTicks, now: &CoreTicks) -> f64 {
    let total = now.total.saturating_sub(before.total);
    let busy = now.busy.saturating_sub(before.busy).min(total);
    if total == 0 {
        0.0
    } else {
        busy as f64 / total as f64
    }
}
