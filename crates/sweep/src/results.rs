//! What was measured: the document `results.json`.

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::matrix::{self, Configuration};
use crate::plan::Plan;
use crate::statistics::{Ratio, Spread};
use crate::trial::{Measurement, Outcome};

/// The results of one sweep on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`Results::SCHEMA`].
    pub schema: String,
    /// [`Results::VERSION`].
    pub version: u32,
    /// The version of the program.
    pub program: String,
    /// When it began, in milliseconds since 1970 (UTC), by the machine's clock.
    pub started_unix_ms: u64,
    /// When it ended.
    pub ended_unix_ms: u64,
    /// Whether all runs of the plan were made.
    pub complete: bool,
    /// What was retrieved, without queries.
    pub addresses: Vec<String>,
    /// Rounds of the plan.
    pub rounds: u32,
    /// Whether a round that is not measured came first.
    pub warm_up: bool,
    /// The longest that a run may take.
    pub limit_ms: u64,
    /// The seed of the order.
    pub seed: u64,
    /// Where.
    pub machine: Machine,
    /// What was compared, in the order of the plan.
    pub configurations: Vec<Measured>,
}

/// One configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// A short name: what distinguishes it from the others.
    pub label: String,
    /// What it is.
    pub configuration: Configuration,
    /// All its runs together.
    pub summary: Summary,
    /// Its throughput beside that of the first configuration; none for the first.
    pub versus_first: Option<Ratio>,
    /// Its runs, in the order in which they were made.
    pub runs: Vec<Run>,
}

/// The runs of a configuration that ended well, together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Runs that ended well.
    pub done: usize,
    /// Runs that did not.
    pub failed: usize,
    /// See [`Measurement::throughput_mb_per_second`].
    pub throughput_mb_per_second: Option<Spread>,
    /// See [`Measurement::first_byte_ms`].
    pub first_byte_ms: Option<Spread>,
    /// See [`Measurement::cpu_seconds_per_gb`].
    pub cpu_seconds_per_gb: Option<Spread>,
    /// See [`Measurement::peak_rss_bytes`].
    pub peak_rss_bytes: Option<Spread>,
    /// See [`Measurement::requests`].
    pub requests: Option<Spread>,
    /// See [`Measurement::retries`].
    pub retries: Option<Spread>,
    /// See [`Measurement::wasted_bytes`].
    pub wasted_bytes: Option<Spread>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its round, from 1.
    pub round: u32,
    /// When it was started, in milliseconds since 1970 (UTC).
    pub started_unix_ms: u64,
    /// The file with its samples, relative to the document; none where they were not kept.
    pub profile: Option<String>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Results {
    /// Names the format.
    pub const SCHEMA: &str = "haul.bench.retrieve";
    /// Its version. Fields may be added within a version; none is removed or changes its meaning.
    pub const VERSION: u32 = 1;

    /// Puts the runs of each configuration of `plan` together.
    pub fn new(plan: &Plan, program: &str, machine: Machine, times: (u64, u64), runs: Vec<Vec<Run>>) -> Self {
        let labels = matrix::labels(&plan.configurations);
        let first: Vec<Run> = runs.first().cloned().unwrap_or_default();
        let wanted = plan.rounds as usize;
        let complete =
            runs.len() == plan.configurations.len() && runs.iter().all(|runs| runs.len() == wanted);
        let measured = plan.configurations.iter().zip(labels).zip(runs).enumerate();
        let measured = measured.map(|(number, ((configuration, label), runs))| Measured {
            label,
            configuration: configuration.clone(),
            summary: Summary::of(&runs),
            versus_first: if number == 0 { None } else { versus(&runs, &first) },
            runs,
        });
        Self {
            schema: Self::SCHEMA.to_owned(),
            version: Self::VERSION,
            program: program.to_owned(),
            started_unix_ms: times.0,
            ended_unix_ms: times.1,
            complete,
            addresses: plan.redacted_addresses(),
            rounds: plan.rounds,
            warm_up: plan.warm_up,
            limit_ms: plan.limit_ms,
            seed: plan.seed,
            machine,
            configurations: measured.collect(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it: no JSON, another schema, a later version.
    pub fn parse(text: &str) -> Result<Self, WrongResults> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
            version: u32,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.schema != Self::SCHEMA {
            return Err(WrongResults::Schema(head.schema));
        }
        if head.version != Self::VERSION {
            return Err(WrongResults::Version(head.version));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Whether some run did not end well.
    pub fn has_failures(&self) -> bool {
        self.configurations
            .iter()
            .any(|measured| measured.summary.failed > 0)
    }

    /// Runs that ended well.
    pub fn done(&self) -> usize {
        self.configurations
            .iter()
            .map(|measured| measured.summary.done)
            .sum()
    }
}

/// Why a document is not one of results.
#[derive(Debug, thiserror::Error)]
pub enum WrongResults {
    /// It cannot be read.
    #[error("these are no results of a benchmark: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else.
    #[error("the schema is {0:?}: give the results.json of a benchmark on one machine")]
    Schema(String),
    /// It is of another version.
    #[error("version {0} of the results is not known here: use the version of haul that wrote them")]
    Version(u32),
}

impl Summary {
    fn of(runs: &[Run]) -> Self {
        let done: Vec<_> = runs.iter().filter_map(Run::measurement).collect();
        let spread = |figure: &dyn Fn(&Measurement) -> Option<f64>| {
            Spread::of(done.iter().filter_map(|measurement| figure(measurement)))
        };
        Self {
            done: done.len(),
            failed: runs.len() - done.len(),
            throughput_mb_per_second: spread(&|run| Some(run.throughput_mb_per_second())),
            first_byte_ms: spread(&|run| run.first_byte_ms),
            cpu_seconds_per_gb: spread(&Measurement::cpu_seconds_per_gb),
            peak_rss_bytes: spread(&|run| run.peak_rss_bytes.map(|bytes| bytes as f64)),
            requests: spread(&|run| Some(run.requests as f64)),
            retries: spread(&|run| Some(run.retries as f64)),
            wasted_bytes: spread(&|run| Some(run.wasted_bytes as f64)),
        }
    }
}

impl Measured {
    /// The run in the middle of those that ended well, by throughput: the one that plots over time show.
    pub fn median_run(&self) -> Option<(&Run, &Measurement)> {
        let mut done: Vec<_> = self
            .runs
            .iter()
            .filter_map(|run| Some((run, run.measurement()?)))
            .collect();
        done.sort_by(|(_, a), (_, b)| {
            a.throughput_mb_per_second()
                .total_cmp(&b.throughput_mb_per_second())
        });
        done.get(done.len().checked_sub(1)? / 2).copied()
    }

    /// The median throughput.
    pub fn median_throughput(&self) -> Option<f64> {
        Some(self.summary.throughput_mb_per_second?.median)
    }
}

impl Run {
    /// Its figures, if it ended well.
    pub fn measurement(&self) -> Option<&Measurement> {
        match &self.outcome {
            Outcome::Done(measurement) => Some(measurement),
            Outcome::Failed { .. } | Outcome::TimedOut => None,
        }
    }
}

fn versus(runs: &[Run], first: &[Run]) -> Option<Ratio> {
    let throughput = |run: &Run| Some(run.measurement()?.throughput_mb_per_second());
    let in_round = |round| first.iter().find(|run| run.round == round).and_then(throughput);
    Ratio::paired(
        runs.iter()
            .filter_map(|run| throughput(run).zip(in_round(run.round))),
    )
}
