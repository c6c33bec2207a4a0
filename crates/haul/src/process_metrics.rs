//! What this process takes of its machine, under the names that Prometheus' own clients use.

use std::fmt;
use std::path::PathBuf;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// Registers the figures of this process, of the disk that `data` lies on, and which version this is.
pub(crate) fn register(registry: &mut Registry, data: PathBuf) {
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("haul_build", "The version that runs", build);
    registry.register_collector(Box::new(ProcessCollector { data }));
}

/// Reads `/proc` and asks the file system when Prometheus asks. What a machine does not tell is left out.
#[derive(Debug)]
struct ProcessCollector {
    data: PathBuf,
}

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        if let Some(seconds) = cpu_seconds() {
            let (name, help) = ("process_cpu_seconds", "Processor time of this process");
            let counter = ConstCounter::new(seconds);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        for (name, help, value) in self.gauges().into_iter().flatten() {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

type Figure = (&'static str, &'static str, f64);

impl ProcessCollector {
    fn gauges(&self) -> [Option<Figure>; 6] {
        let figure = |name, help, value: Option<f64>| value.map(|value| (name, help, value));
        let disk = rustix::fs::statvfs(&self.data).ok();
        let bytes = |blocks: u64, size: u64| (blocks * size) as f64;
        [
            figure(
                "process_resident_memory_bytes",
                "Memory of this process that is in use",
                resident_bytes(),
            ),
            figure(
                "process_open_fds",
                "Files and sockets that are open",
                open_files(),
            ),
            figure(
                "process_max_fds",
                "Files and sockets that may be open",
                max_files(),
            ),
            figure(
                "process_start_time_seconds",
                "When this process began",
                start_time_seconds(),
            ),
            figure(
                "haul_disk_free_bytes",
                "Free on the disk of the data folder, for this user",
                disk.as_ref().map(|disk| bytes(disk.f_bavail, disk.f_frsize)),
            ),
            figure(
                "haul_disk_size_bytes",
                "Size of the disk of the data folder",
                disk.as_ref().map(|disk| bytes(disk.f_blocks, disk.f_frsize)),
            ),
        ]
    }
}

/// The fields of `/proc/self/stat` behind the name of the program, which may hold anything. The first is field 3 of
/// proc(5).
fn stat_field(number: usize) -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(number - 3)?.parse().ok()
}

fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

/// In user mode and in the kernel.
fn cpu_seconds() -> Option<f64> {
    Some((stat_field(14)? + stat_field(15)?) / ticks_per_second())
}

/// The kernel counts from its own start.
fn start_time_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let boot: f64 = stat
        .lines()
        .find_map(|line| line.strip_prefix("btime "))?
        .parse()
        .ok()?;
    Some(boot + stat_field(22)? / ticks_per_second())
}

fn resident_bytes() -> Option<f64> {
    Some(stat_field(24)? * rustix::param::page_size() as f64)
}

fn open_files() -> Option<f64> {
    // The folder itself is open while it is read.
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64)
}

fn max_files() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.map(|files| files as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_knows_itself() {
        let mut registry = Registry::default();
        register(&mut registry, "/".into());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name} ")));
            line.unwrap_or_else(|| panic!("{name} is not in {text}"))
                .parse()
                .unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_max_fds") > value("process_open_fds"));
        assert!(value("haul_disk_size_bytes") >= value("haul_disk_free_bytes"));
        assert!(value("process_cpu_seconds_total") >= 0.0);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let age = now.as_secs_f64() - value("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "{age}");
        assert!(text.contains("haul_build_info{version="));
    }
}
