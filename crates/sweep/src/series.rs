//! A run over time, short enough to be carried in the results.

use retrieve::profile::Sample;
use serde::{Deserialize, Serialize};

/// Samples side by side: the n-th value of each list belongs to the n-th time. What the system does not tell is an empty
/// list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Milliseconds since the run began.
    pub t_ms: Vec<u64>,
    /// Wanted bytes per second since the time before.
    pub goodput_bytes_per_second: Vec<u64>,
    /// How busy each core was, 0 to 1: a list of times for each core.
    pub cores_busy: Vec<Vec<f64>>,
    /// Cores that the run itself kept busy.
    pub process_cores: Vec<f64>,
    /// Bytes of the run's process in memory.
    pub rss_bytes: Vec<u64>,
    /// Received by the machine over all interfaces, loopback included.
    pub network_bytes_per_second: Vec<u64>,
    /// Requests in flight.
    pub connections: Vec<u64>,
}

impl Series {
    /// Times at most.
    pub const MAX_TIMES: usize = 120;
    /// Cores at most.
    pub const MAX_CORES: usize = 64;
    /// Bytes are counted ten times a second by one clock and sampled by another, so goodput is taken over at least
    /// so many samples.
    const GOODPUT_SAMPLES: usize = 3;

    /// Of the samples of a profile; several become one where there are too many.
    pub fn of(samples: &[Sample]) -> Self {
        let together = samples.len().div_ceil(Self::MAX_TIMES).max(1);
        let mut series = Self::default();
        let cores = samples.first().and_then(|sample| sample.cores_busy.as_ref());
        let cores = cores.map_or(0, Vec::len).min(Self::MAX_CORES);
        series.cores_busy = vec![Vec::new(); cores];
        for (number, group) in samples.chunks(together).enumerate() {
            let end = number * together + group.len();
            let window = end.saturating_sub(group.len().max(Self::GOODPUT_SAMPLES) + 1);
            series.add(group, &samples[window..end]);
        }
        series
    }

    /// Adds one time for `group`; `window` ends with it and begins one sample before what goodput is taken over.
    fn add(&mut self, group: &[Sample], window: &[Sample]) {
        let Some(last) = group.last() else { return };
        self.t_ms.push(last.t_ms);
        self.goodput_bytes_per_second.push(goodput(window));
        self.connections.push(last.connections);
        self.rss_bytes.extend(last.rss_bytes);
        self.process_cores.extend(mean(group, Sample::process_cores));
        let network = |sample: &Sample| {
            let rate = sample.received_bytes_per_second? + sample.loopback_bytes_per_second?;
            Some(rate as f64)
        };
        self.network_bytes_per_second
            .extend(mean(group, network).map(|rate| rate as u64));
        for (core, busy) in self.cores_busy.iter_mut().enumerate() {
            let of_core = |sample: &Sample| sample.cores_busy.as_ref()?.get(core).copied();
            busy.push(mean(group, of_core).unwrap_or(0.0));
        }
    }
}

/// By the bytes at both ends of `window`. Before the first sample there were none.
fn goodput(window: &[Sample]) -> u64 {
    let Some(last) = window.last() else { return 0 };
    let (t_ms, bytes) = match window {
        [first, _, ..] if first.t_ms < last.t_ms => (first.t_ms, first.bytes),
        _ => (0, 0),
    };
    let elapsed_ms = last.t_ms.saturating_sub(t_ms).max(1);
    last.bytes.saturating_sub(bytes).saturating_mul(1_000) / elapsed_ms
}

/// Rounded, because the system counts in steps of 10 ms anyhow.
fn mean(group: &[Sample], value: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = group.iter().filter_map(value).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (!values.is_empty()).then_some((mean * 1e3).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(t_ms: u64, bytes: u64) -> Sample {
        Sample {
            t_ms,
            bytes,
            connections: t_ms / 100,
            cores_busy: Some(vec![0.5, 1.0]),
            rss_bytes: Some(t_ms),
            ..Sample::default()
        }
    }

    #[test]
    fn a_short_run_keeps_all_its_samples() {
        let samples: Vec<_> = (1..=10).map(|t| sample(t * 100, t * 1_000)).collect();
        let series = Series::of(&samples);
        assert_eq!(series.t_ms.len(), 10);
        assert_eq!(series.goodput_bytes_per_second, [10_000; 10]);
        assert_eq!(series.cores_busy, [vec![0.5; 10], vec![1.0; 10]]);
        assert!(series.process_cores.is_empty(), "nothing is made up");
    }

    #[test]
    fn a_long_run_is_thinned_out_and_loses_no_bytes() {
        let samples: Vec<_> = (1..=5_000).map(|t| sample(t * 100, t * t)).collect();
        let series = Series::of(&samples);
        assert!(series.t_ms.len() <= Series::MAX_TIMES && series.t_ms.len() > Series::MAX_TIMES / 2);
        let mut before = 0;
        let mut bytes = 0.0;
        for (&t_ms, &rate) in series.t_ms.iter().zip(&series.goodput_bytes_per_second) {
            bytes += rate as f64 * (t_ms - before) as f64 / 1e3;
            before = t_ms;
        }
        let all = 5_000.0 * 5_000.0;
        assert!((bytes - all).abs() / all < 0.01, "{bytes}");
    }

    #[test]
    fn no_samples_are_an_empty_series() {
        assert_eq!(Series::of(&[]), Series::default());
    }
}
