use serde::Serialize;

use super::machine::{Disk, Network, Reading};
use super::sample::Sample;

/// A run in a few figures. Null is what the system does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Samples taken.
    pub samples: u64,
    /// From start to stop, in milliseconds.
    pub elapsed_ms: u64,
    /// Wanted bytes that came.
    pub bytes: u64,
    /// The effective throughput: those bytes by that time.
    pub bytes_per_second: u64,
    /// The best second.
    pub peak_bytes_per_second: u64,
    /// CPU seconds of this process in its own code.
    pub cpu_user_seconds: Option<f64>,
    /// CPU seconds of the system on behalf of this process.
    pub cpu_system_seconds: Option<f64>,
    /// Both for each 10^9 bytes; null where none came.
    pub cpu_seconds_per_gb: Option<f64>,
    /// Cores that this process kept busy, at most in one interval.
    pub peak_process_cores: Option<f64>,
    /// How busy the machine was over all cores, 0 to 1.
    pub mean_machine_busy: Option<f64>,
    /// Bytes of this process in memory, on average.
    pub mean_rss_bytes: Option<u64>,
    /// The most that was seen in a sample.
    pub peak_rss_bytes: Option<u64>,
    /// Received by the machine over all interfaces but loopback.
    pub received_bytes: Option<u64>,
    /// Sent.
    pub sent_bytes: Option<u64>,
    /// Over loopback.
    pub loopback_bytes: Option<u64>,
    /// Read from disks by this process.
    pub disk_read_bytes: Option<u64>,
    /// Written by this process.
    pub disk_written_bytes: Option<u64>,
    /// Requests in flight, on average.
    pub mean_connections: f64,
    /// At most.
    pub peak_connections: u64,
    /// Bytes of the budget in use, at most.
    pub peak_window_bytes: u64,
}

impl Summary {
    pub(super) fn add(&mut self, sample: &Sample) {
        self.samples += 1;
        self.elapsed_ms = sample.t_ms;
        self.bytes = sample.bytes;
        self.peak_bytes_per_second = self.peak_bytes_per_second.max(sample.goodput_bytes_per_second);
        self.peak_connections = self.peak_connections.max(sample.connections);
        self.peak_window_bytes = self.peak_window_bytes.max(sample.window_bytes);
        self.peak_rss_bytes = self.peak_rss_bytes.max(sample.rss_bytes);
        self.mean_connections = self.mean(self.mean_connections, sample.connections as f64);
        if let Some(rss) = sample.rss_bytes {
            let mean = self.mean(self.mean_rss_bytes.unwrap_or(0) as f64, rss as f64);
            self.mean_rss_bytes = Some(mean as u64);
        }
        if let Some(cores) = sample.process_cores() {
            self.peak_process_cores = Some(self.peak_process_cores.map_or(cores, |peak| peak.max(cores)));
        }
    }

    /// The mean of all samples, of that of those before and the newest.
    fn mean(&self, mean: f64, newest: f64) -> f64 {
        mean + (newest - mean) / self.samples as f64
    }

    /// Adds what follows from the first and the last reading.
    pub(super) fn close(&mut self, first: &Reading, last: &Reading) {
        let cpu = first.cpu.zip(last.cpu);
        self.cpu_user_seconds = cpu.map(|(first, last)| last.user - first.user);
        self.cpu_system_seconds = cpu.map(|(first, last)| last.system - first.system);
        let seconds = self.elapsed_ms as f64 / 1e3;
        if seconds > 0.0 {
            self.bytes_per_second = (self.bytes as f64 / seconds) as u64;
        }
        if self.bytes > 0 {
            let cpu = self.cpu_user_seconds.zip(self.cpu_system_seconds);
            self.cpu_seconds_per_gb = cpu.map(|(user, system)| (user + system) / (self.bytes as f64 / 1e9));
        }
        self.mean_machine_busy = machine_busy(first, last);
        let network =
            |count: fn(&Network) -> u64| grown(first.network.as_ref(), last.network.as_ref(), count);
        self.received_bytes = network(|network| network.received);
        self.sent_bytes = network(|network| network.sent);
        self.loopback_bytes = network(|network| network.loopback);
        let disk = |count: fn(&Disk) -> u64| grown(first.disk.as_ref(), last.disk.as_ref(), count);
        self.disk_read_bytes = disk(|disk| disk.read);
        self.disk_written_bytes = disk(|disk| disk.written);
    }
}

fn grown<T>(first: Option<&T>, last: Option<&T>, count: fn(&T) -> u64) -> Option<u64> {
    Some(count(last?).saturating_sub(count(first?)))
}

fn machine_busy(first: &Reading, last: &Reading) -> Option<f64> {
    let ticks = |reading: &Reading| {
        let cores = reading.cores.as_ref()?.iter();
        Some(cores.fold((0, 0), |(busy, total), core| {
            (busy + core.busy, total + core.total)
        }))
    };
    let ((busy_before, total_before), (busy, total)) = (ticks(first)?, ticks(last)?);
    let total = total.saturating_sub(total_before);
    (total > 0).then(|| busy.saturating_sub(busy_before).min(total) as f64 / total as f64)
}
