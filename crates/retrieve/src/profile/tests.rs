use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::machine::*;
use super::*;
use crate::Control;
use crate::hooks::{RunStart, StatefulHook};
use crate::outcome::Report;

const DOCUMENT: &str = include_str!("../../docs/events.md");

#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn lines(&self) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run that gets a megabyte between two samples.
fn source() -> impl FnMut() -> Stats + Send {
    let mut stats = Stats::default();
    move || {
        stats.bytes += 1_000_000;
        stats.bytes_per_second = 10_000_000 + stats.bytes;
        stats.connections = stats.bytes / 1_000_000;
        stats.clone()
    }
}

/// Keeps one core busy.
fn spin(time: Duration) {
    let started = Instant::now();
    while started.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[test]
fn the_text_of_proc_is_read() {
    let stat = "cpu  11 0 0 0 0\ncpu0 10 1 2 30 4 5 6 7 8 9\ncpu1 0 0 0 100 0 0 0 0 0 0\nintr 5\n";
    let expected = [
        CoreTicks { busy: 31, total: 65 },
        CoreTicks { busy: 0, total: 100 },
    ];
    assert_eq!(cores(stat).unwrap(), expected);

    let stat = "77 (a (strange) name) S 1 2 3 4 5 6 7 8 9 10 250 50 13 14";
    let cpu = ProcessCpu {
        user: 2.5,
        system: 0.5,
    };
    assert_eq!(process_cpu(stat), Some(cpu));

    let status = "Name:\tx\nVmHWM:\t    2180 kB\nVmRSS:\t    1000 kB\n";
    let memory_expected = Memory {
        rss: 1_024_000,
        peak: 2_232_320,
    };
    assert_eq!(memory(status), Some(memory_expected));

    let dev = "Inter-| Receive\n face |bytes packets\n    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n  \
               eth0: 7 1 0 0 0 0 0 0 8 1 0 0 0 0 0 0\n eth1:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
    let expected = Network {
        received: 8,
        sent: 10,
        loopback: 100,
    };
    assert_eq!(network(dev), expected);

    let io = "rchar: 6976\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 1\n";
    assert_eq!(
        disk(io),
        Some(Disk {
            read: 4096,
            written: 8192
        })
    );
}

#[test]
fn what_is_not_there_is_null_and_not_zero() {
    assert_eq!(
        (cores(""), process_cpu("no"), memory(""), disk("")),
        (None, None, None, None)
    );
    let nothing = Reading::default();
    let second = Duration::from_secs(1);
    let sample = Sample::between(&nothing, Duration::ZERO, &nothing, second, &Stats::default());
    let line = serde_json::to_value(&sample).unwrap();
    for field in [
        "cores_busy",
        "user_cores",
        "rss_bytes",
        "loopback_bytes_per_second",
    ] {
        assert!(line[field].is_null(), "{field}");
    }
}

#[test]
fn a_profile_of_this_process_holds_its_load() {
    let profiler = Profiler::start(Profiler::MIN_INTERVAL, source(), Sink::Memory).unwrap();
    spin(Duration::from_millis(400));
    let Profile {
        samples,
        summary,
        failure,
    } = profiler.stop();
    assert_eq!(failure, None);
    assert!(samples.len() > 3 && summary.samples == samples.len() as u64);
    assert!(samples.is_sorted_by_key(|sample| sample.t_ms));
    assert_eq!(summary.bytes, summary.samples * 1_000_000);
    assert_eq!(summary.peak_connections, summary.samples);
    assert_eq!(summary.peak_bytes_per_second, 10_000_000 + summary.bytes);
    let effective = summary.bytes as f64 / (summary.elapsed_ms as f64 / 1e3);
    assert!((summary.bytes_per_second as f64 - effective).abs() < 1.0 + effective / 100.0);
}

#[cfg(target_os = "linux")]
#[test]
fn on_linux_machine_and_process_are_seen() {
    let profiler = Profiler::start(Profiler::MIN_INTERVAL, source(), Sink::Memory).unwrap();
    spin(Duration::from_millis(400));
    let Profile { samples, summary, .. } = profiler.stop();
    assert!(summary.cpu_user_seconds.unwrap() > 0.0, "{summary:?}");
    assert!(summary.cpu_seconds_per_gb.unwrap() > 0.0);
    assert!(summary.peak_process_cores.unwrap() > 0.0);
    let busy = summary.mean_machine_busy.unwrap();
    assert!(busy > 0.0 && busy <= 1.0, "{busy}");
    let (mean, peak) = (summary.mean_rss_bytes.unwrap(), summary.peak_rss_bytes.unwrap());
    assert!(mean > 1 << 20 && mean <= peak, "{mean} {peak}");
    let last = samples.last().unwrap();
    assert!(last.rss_peak_bytes.unwrap() >= last.rss_bytes.unwrap());
    let cores = last.cores_busy.as_ref().unwrap();
    assert!(!cores.is_empty() && cores.iter().all(|busy| (0.0..=1.0).contains(busy)));
}

#[test]
fn lines_begin_with_the_version_and_end_with_the_summary() {
    let shown = Shown::default();
    let sink = Sink::MemoryAndLines(Box::new(shown.clone()));
    let profiler = Profiler::start(Duration::from_secs(3600), source(), sink).unwrap();
    let profile = profiler.stop();
    assert_eq!(profile.samples.len(), 1, "stopping takes the last one");
    let lines = shown.lines();
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| line["profile"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["start", "sample", "summary"]);
    assert_eq!(lines[0]["version"], Profile::VERSION);
    for field in lines.iter().flat_map(|line| line.as_object().unwrap().keys()) {
        assert!(
            DOCUMENT.contains(&format!("| `{field}` |")),
            "docs/events.md lacks `{field}`"
        );
    }
}

#[test]
fn lines_that_cannot_be_written_are_told_and_samples_go_on() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::MemoryAndLines(Box::new(Full));
    let profile = Profiler::start(Profiler::INTERVAL, source(), sink)
        .unwrap()
        .stop();
    assert!(profile.failure.unwrap().starts_with("the profile is not whole"));
    assert_eq!(profile.samples.len(), 1);
}

#[test]
fn a_long_run_is_thinned_out_evenly() {
    let mut recorder = Recorder::new(Sink::Memory);
    let samples = 3 * Profile::MAX_SAMPLES as u64;
    for t_ms in 0..samples {
        recorder.record(Sample {
            t_ms,
            ..Sample::default()
        });
    }
    let profile = recorder.finish();
    assert!(
        profile.samples.len() <= Profile::MAX_SAMPLES && profile.samples.len() >= Profile::MAX_SAMPLES / 2
    );
    let gaps = profile.samples.windows(2).map(|pair| pair[1].t_ms - pair[0].t_ms);
    assert!(gaps.into_iter().all(|gap| gap == 4));
    assert_eq!(profile.summary.samples, samples);
}

#[test]
fn the_hook_profiles_a_run_from_its_start_to_its_end() {
    let (mut hook, profile) = ProfilerHook::new(Profiler::INTERVAL, Sink::Memory);
    hook.on_run_start(&RunStart::default(), &Control::default());
    let stats = |bytes| Stats {
        bytes,
        ..Stats::default()
    };
    hook.on_tick(&stats(5), &Control::default());
    let report = Report {
        stats: stats(9),
        ..Report::default()
    };
    hook.on_run_end(&report).unwrap();
    assert_eq!(profile.recv().unwrap().summary.bytes, 9);
}
