//! What can be said about measuring.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::ValueHint;
use clap::{Args, Subcommand, ValueEnum};

use super::Reach;
use crate::quantity;

const EXAMPLES: &str = "\
Examples:
  haul bench retrieve s3://bucket/data/
  haul bench retrieve --chunk 4MiB,8MiB,16MiB --connections 8,32,auto s3://bucket/large
  haul bench retrieve --sink null,file --files 1,16 --scratch /mnt/nvme https://host/file
  haul bench retrieve --on host1,host2 s3://bucket/data/

The first configuration is what the others are compared with. Ctrl-C ends with a report of what was measured.

Exit codes: 0 all runs ended well, 1 a run or a machine failed (the report says which), 2 wrong usage, 130 interrupted.";

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Retrieve the same objects in different ways, several times, and report which is the best
    Retrieve(Box<BenchRetrieve>),
    /// Put the results of several machines together
    Merge(BenchMerge),
    /// Make the one run that stdin describes (what haul starts for every run)
    #[command(hide = true)]
    RetrieveOne {
        #[command(flatten)]
        reach: Reach,
    },
    /// Measure what stdin describes (what haul starts on every machine of --on)
    #[command(hide = true)]
    Follow {
        #[command(flatten)]
        reach: Reach,
    },
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchRetrieve {
    /// What is retrieved in every run: s3://, gs://, az://, https:// or file:// addresses
    #[arg(required = true, value_name = "ADDRESS")]
    pub(crate) addresses: Vec<String>,
    /// The folder for results.json, report.html and the samples of all runs
    #[arg(short, long, value_name = "FOLDER", default_value = "bench-retrieve", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,
    /// Where runs save files, which are removed [default: the output folder; elsewhere the folder for temporary files]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(crate) scratch: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) matrix: Matrix,
    #[command(flatten)]
    pub(crate) rounds: Rounds,
    #[command(flatten)]
    pub(crate) machines: Machines,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What is compared: every combination of these values.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is compared (every combination)")]
pub(crate) struct Matrix {
    /// Bytes of one request
    #[arg(
        long,
        value_name = "SIZE|auto,...",
        value_delimiter = ',',
        default_value = "auto"
    )]
    pub(crate) chunk: Vec<Value<Size>>,
    /// Requests at a time
    #[arg(
        long,
        value_name = "N|auto,...",
        value_delimiter = ',',
        default_value = "auto"
    )]
    pub(crate) connections: Vec<Value<Count<10_000>>>,
    /// Objects of those that the addresses name; where there are fewer, they are taken again
    #[arg(long, value_name = "N|all,...", value_delimiter = ',', default_value = "all")]
    pub(crate) files: Vec<Value<Count<100_000>>>,
    /// Where the bytes go: dropped in order, saved, or kept in memory
    #[arg(
        long,
        value_enum,
        value_name = "SINK,...",
        value_delimiter = ',',
        default_value = "null"
    )]
    pub(crate) sink: Vec<Sink>,
    /// Bytes on their way or waiting at most
    #[arg(long, value_name = "SIZE,...", value_delimiter = ',', default_value = "64MiB", value_parser = quantity::some_bytes)]
    pub(crate) memory: Vec<u64>,
}

/// How often.
#[derive(Debug, Args)]
#[command(next_help_heading = "How often")]
pub(crate) struct Rounds {
    /// Each round has every configuration once, in an order of its own
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// Without the first round, which is not measured
    #[arg(long)]
    pub(crate) no_warm_up: bool,
    /// A run that takes longer is ended and counts as failed
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = quantity::seconds)]
    pub(crate) limit: std::time::Duration,
    /// Decides the order
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Where else.
#[derive(Debug, Args)]
#[command(next_help_heading = "On other machines")]
pub(crate) struct Machines {
    /// Measure on these machines, all at the same time, instead of here
    #[arg(long, value_name = "HOST,...", value_delimiter = ',')]
    pub(crate) on: Vec<String>,
    /// The program that reaches them; it must need no password
    #[arg(long, value_name = "PROGRAM", default_value = "ssh", requires = "on")]
    pub(crate) ssh: String,
    /// haul on those machines
    #[arg(long, value_name = "PATH", default_value = "haul", requires = "on")]
    pub(crate) remote_program: String,
}

#[derive(Debug, Args)]
pub(crate) struct BenchMerge {
    /// results.json of each machine
    #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,
    /// The report to write; must not exist
    #[arg(short, long, value_name = "FILE", default_value = "report.html", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
}

/// Where the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sink {
    /// Handed out in order and dropped
    Null,
    /// Saved as files
    File,
    /// Handed out in order and kept until the end
    Memory,
}

/// A value, or the word that leaves the choice to the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<T>(pub(crate) Option<T>);

/// Bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// A number from 1 to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count<const MOST: usize>(pub(crate) usize);

impl<T: FromStr<Err = String>> FromStr for Value<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" | "all" => Ok(Self(None)),
            _ => text.parse().map(|value| Self(Some(value))),
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        quantity::some_bytes(text).map(Self)
    }
}

impl<const MOST: usize> FromStr for Count<MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no number from 1 to {MOST}"))
    }
}

impl Reach {
    /// The words that say the same to another haul.
    pub(crate) fn words(&self) -> Vec<String> {
        let named = [
            ("--endpoint", &self.endpoint),
            ("--region", &self.region),
            ("--profile", &self.profile),
        ];
        let told = named
            .into_iter()
            .filter_map(|(flag, value)| Some(format!("{flag}={}", value.as_ref()?)));
        told.chain(self.anonymous.then(|| "--anonymous".to_owned()))
            .collect()
    }
}
