pub(crate) mod store;

mod change;
pub(crate) mod rules;

use model::{Checksum, RunId, ScraperId, Timestamp};
use serde::{Deserialize, Serialize};

/// Where the code of a scraper comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Origin {
    /// A folder of the worker's machine, copied for each run. Only operators may name one.
    Folder {
        /// Its absolute path.
        path: String,
    },
    /// A git repository that `git fetch` reaches over https; for operators also a path.
    Git {
        /// Its address, without credentials (those are secrets).
        url: String,
        /// A branch, tag or commit; none: the repository's default branch.
        #[serde(default)]
        reference: Option<String>,
    },
    /// A tar archive that somebody sent.
    Upload {
        /// Of the archive's bytes; it is in the archive.
        checksum: Checksum,
    },
}

/// What happens when a run is due and the last one is not over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// The new one is left out.
    #[default]
    Skip,
    /// The new one waits; more that become due in the meantime are the same one.
    Queue,
    /// The old one is stopped.
    Cancel,
}

/// What happens with turns that were missed while nobody looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing.
    Skip,
    /// One run, however many were missed.
    #[default]
    Once,
}

/// What a run may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// MiB of memory, all processes together.
    pub memory_mib: u64,
    /// Processes and threads.
    pub processes: u64,
    /// MiB in the work folder.
    pub disk_mib: u64,
    /// MiB in `/tmp`.
    pub tmp_mib: u64,
    /// Seconds of running.
    pub run_seconds: u64,
    /// Seconds of building.
    pub build_seconds: u64,
    /// Lines of log.
    pub log_lines: u64,
    /// Bytes of log.
    pub log_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 512,
            processes: 256,
            disk_mib: 1024,
            tmp_mib: 256,
            run_seconds: 24 * 3600,
            build_seconds: 1800,
            log_lines: 10_000,
            log_bytes: 10 << 20,
        }
    }
}

/// What its owner says about a scraper. It is kept as it is written in JSON; what a newer Haul put beside it is passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScraperSettings {
    /// One line about it.
    pub description: String,
    /// When it runs, as [`schedule::Schedule`] reads it; none: only when somebody says so.
    pub schedule: Option<String>,
    /// When a run is due and the last one is not over.
    pub overlap: Overlap,
    /// When turns were missed.
    pub missed: Missed,
    /// Runs after every run of this one that succeeded. A circle of such scrapers goes round once.
    pub after: Option<ScraperId>,
    /// What a run may use.
    pub limits: Limits,
    /// Keep what is in `data.sqlite` after a failed run.
    pub keep_after_failure: bool,
    /// Versions of the data that are kept.
    pub keep_versions: u32,
    /// Columns whose changes do not count, such as `date_scraped`.
    pub ignore_columns: Vec<String>,
    /// Failed runs in a row after which its schedule pauses, counted from when somebody let it go on last; 0: never.
    pub pause_after_failures: u32,
    /// Record the traffic of each run to a cassette.
    pub record: bool,
    /// Named questions: name and SQL.
    pub queries: std::collections::BTreeMap<String, String>,
    /// Whether the data may be read without a key.
    pub public: bool,
}

impl ScraperSettings {
    /// Whether it runs without anybody asking.
    pub fn is_automatic(&self) -> bool {
        self.schedule.is_some() || self.after.is_some()
    }
}

impl Default for ScraperSettings {
    fn default() -> Self {
        Self {
            description: String::new(),
            schedule: None,
            overlap: Overlap::default(),
            missed: Missed::default(),
            after: None,
            limits: Limits::default(),
            keep_after_failure: true,
            keep_versions: 10,
            ignore_columns: Vec::new(),
            pause_after_failures: 0,
            record: false,
            queries: std::collections::BTreeMap::new(),
            public: false,
        }
    }
}

/// A scraper to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewScraper {
    /// Its name.
    pub id: ScraperId,
    /// Where its code comes from.
    pub origin: Origin,
    /// The rest.
    #[serde(default)]
    pub settings: ScraperSettings,
}

/// A scraper as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Scraper {
    /// Its name.
    pub id: ScraperId,
    /// Where its code comes from.
    pub origin: Origin,
    /// What its owner says.
    pub settings: ScraperSettings,
    /// From 1; each change of settings or origin raises it, so that who changes what they looked at can tell.
    pub configuration: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its schedule is due next; none where it has none or is paused.
    pub due_at: Option<Timestamp>,
    /// Why its schedule stands still, where it does.
    pub paused: Option<String>,
    /// Runs that failed since the last that succeeded.
    pub failures: u32,
    /// The run that is not over, where there is one.
    pub unfinished: Option<RunId>,
    /// The newest run, over or not.
    pub last_run: Option<RunId>,
    /// The newest version of its data, where there is one: its number.
    pub version: Option<u64>,
    /// The language of its last run, for people.
    pub language: Option<String>,
    /// The most memory that its recent runs used, in MiB.
    pub used_memory_mib: Option<u64>,
}

/// Which scrapers.
#[derive(Clone, Debug, Default)]
pub struct ScraperFilter {
    /// Of this owner.
    pub owner: Option<model::OwnerName>,
    /// Whose name or description has this text in it.
    pub text: Option<String>,
    /// After this one, in the order of names.
    pub after: Option<ScraperId>,
    /// So many at most; 0: 100.
    pub limit: usize,
}
