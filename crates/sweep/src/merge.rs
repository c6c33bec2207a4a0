//! The results of several machines, side by side on one time line.

use serde::{Deserialize, Serialize};

use crate::results::{Measured, Results, Run};
use crate::trial::Measurement;

/// Results of several machines: the document `results.json` of a merged report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Merged {
    /// [`Merged::SCHEMA`].
    pub schema: String,
    /// [`Merged::VERSION`].
    pub version: u32,
    /// In the order in which they were named.
    pub machines: Vec<OnMachine>,
    /// Configurations by their labels, in the order of the first machine that has them.
    pub configurations: Vec<Together>,
    /// All machines over time.
    pub timeline: Timeline,
}

/// What came from one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnMachine {
    /// As it was named.
    pub name: String,
    /// Why there are no results, or not all.
    pub failure: Option<String>,
    /// What it has measured.
    pub results: Option<Results>,
}

/// One configuration on all machines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Together {
    /// Its label.
    pub label: String,
    /// The sum of the machines' median throughputs, in megabytes (10^6) per second.
    pub throughput_mb_per_second: f64,
    /// The median throughput of each machine; null where it has none.
    pub machines: Vec<Option<f64>>,
}

/// Goodput of all measured runs, by the machines' own clocks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// When it begins, in milliseconds since 1970 (UTC).
    pub started_unix_ms: u64,
    /// The length of one step.
    pub step_ms: u64,
    /// Bytes per second in each step, for each machine.
    pub machines: Vec<Vec<u64>>,
    /// Over all machines.
    pub total: Vec<u64>,
}

impl Merged {
    /// Names the format.
    pub const SCHEMA: &str = "haul.bench.retrieve.merged";
    /// Its version, see [`Results::VERSION`].
    pub const VERSION: u32 = 1;

    /// Puts machines together.
    pub fn new(machines: Vec<OnMachine>) -> Self {
        Self {
            schema: Self::SCHEMA.to_owned(),
            version: Self::VERSION,
            configurations: together(&machines),
            timeline: Timeline::of(&machines),
            machines,
        }
    }

    /// Machines that gave no results, or not all.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        let told = |machine: &OnMachine| machine.failure.is_some();
        let failed = self.machines.iter().filter(move |machine| told(machine));
        failed.map(|machine| {
            (
                machine.name.as_str(),
                machine.failure.as_deref().unwrap_or_default(),
            )
        })
    }
}

impl OnMachine {
    fn measured(&self) -> &[Measured] {
        self.results
            .as_ref()
            .map_or(&[], |results| &results.configurations)
    }

    fn find(&self, label: &str) -> Option<&Measured> {
        self.measured().iter().find(|measured| measured.label == label)
    }

    fn runs(&self) -> impl Iterator<Item = (&Run, &Measurement)> {
        let runs = self.measured().iter().flat_map(|measured| &measured.runs);
        runs.filter_map(|run| Some((run, run.measurement()?)))
    }
}

fn together(machines: &[OnMachine]) -> Vec<Together> {
    let mut all: Vec<Together> = Vec::new();
    for label in machines
        .iter()
        .flat_map(OnMachine::measured)
        .map(|measured| &measured.label)
    {
        if all.iter().any(|together| together.label == *label) {
            continue;
        }
        let of = |machine: &OnMachine| machine.find(label).and_then(Measured::median_throughput);
        let medians: Vec<_> = machines.iter().map(of).collect();
        all.push(Together {
            label: label.clone(),
            throughput_mb_per_second: medians.iter().flatten().fold(0.0, |sum, median| sum + median),
            machines: medians,
        });
    }
    all
}

impl Timeline {
    /// Steps at most.
    pub const MAX_STEPS: u64 = 600;
    /// The shortest step, in milliseconds.
    const MIN_STEP: u64 = 250;

    fn of(machines: &[OnMachine]) -> Self {
        let runs = || machines.iter().flat_map(OnMachine::runs);
        let begin = runs().map(|(run, _)| run.started_unix_ms).min();
        let end = runs().map(|(run, measured)| run.started_unix_ms + measured.elapsed_ms.max(0.0) as u64);
        let (Some(begin), Some(end)) = (begin, end.max()) else {
            return Self::default();
        };
        let step = ((end - begin) / Self::MAX_STEPS + 1).max(Self::MIN_STEP);
        let steps = usize::try_from((end - begin) / step + 1).unwrap_or(0);
        let of_machine = |machine: &OnMachine| {
            let mut line = vec![0.0; steps];
            for (run, measured) in machine.runs() {
                spread(&mut line, step, run.started_unix_ms - begin, measured);
            }
            line.into_iter()
                .map(|bytes| (bytes * 1e3 / step as f64) as u64)
                .collect()
        };
        let lines: Vec<Vec<u64>> = machines.iter().map(of_machine).collect();
        let total = (0..steps).map(|at| lines.iter().filter_map(|line| line.get(at)).sum());
        Self {
            started_unix_ms: begin,
            step_ms: step,
            total: total.collect(),
            machines: lines,
        }
    }
}

/// Gives the bytes of a run to the steps in which they came.
fn spread(line: &mut [f64], step_ms: u64, started_ms: u64, measured: &Measurement) {
    let mut before = 0;
    let series = &measured.series;
    for (&t_ms, &rate) in series.t_ms.iter().zip(&series.goodput_bytes_per_second) {
        let (mut from, to) = (started_ms + before, started_ms + t_ms);
        before = t_ms;
        while from < to {
            let at = from / step_ms;
            let until = to.min((at + 1) * step_ms);
            let place = usize::try_from(at).ok().and_then(|at| line.get_mut(at));
            if let Some(bytes) = place {
                *bytes += rate as f64 * (until - from) as f64 / 1e3;
            }
            from = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Series;

    fn measured(t_ms: &[u64], rates: &[u64]) -> Measurement {
        Measurement {
            elapsed_ms: t_ms.last().copied().unwrap_or(0) as f64,
            series: Series {
                t_ms: t_ms.to_vec(),
                goodput_bytes_per_second: rates.to_vec(),
                ..Series::default()
            },
            ..Measurement::default()
        }
    }

    #[test]
    fn bytes_of_a_run_fall_into_the_steps_in_which_they_came() {
        let mut line = [0.0; 4];
        // 1,000 bytes/s from 150 ms to 350 ms, then 2,000 bytes/s to 450 ms.
        spread(&mut line, 100, 150, &measured(&[200, 300], &[1_000, 2_000]));
        assert_eq!(line, [0.0, 50.0, 100.0, 50.0 + 100.0]);
    }

    #[test]
    fn what_lies_behind_the_end_is_left_out() {
        let mut line = [0.0; 1];
        spread(&mut line, 100, 50, &measured(&[1_000], &[1_000]));
        assert_eq!(line, [50.0]);
    }
}
