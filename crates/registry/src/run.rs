pub(crate) mod ask;
mod bounds;
pub(crate) mod end;
mod forget;
mod question;
pub(crate) mod row;

pub(crate) use self::row::load;

use std::collections::BTreeMap;

use model::{Checksum, OwnerName, RunId, ScraperId, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::database::Registry;

/// Why there is a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// Somebody said so.
    Person {
        /// Who.
        by: OwnerName,
    },
    /// A program did, with a key.
    Api {
        /// Whose key.
        by: OwnerName,
    },
    /// It was time.
    Schedule,
    /// Its repository changed.
    Push,
    /// Another scraper finished.
    After {
        /// Which.
        scraper: ScraperId,
    },
    /// Code was sent along, to be run once; its data is not kept as a version. [`Registry::ask_upload`] makes such runs.
    Upload {
        /// Who sent it.
        by: OwnerName,
        /// Of the tar archive.
        checksum: Checksum,
    },
}

impl Cause {
    /// Whether a person waits for it: such runs go first.
    pub fn is_awaited(&self) -> bool {
        matches!(self, Self::Person { .. } | Self::Api { .. } | Self::Upload { .. })
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It waits for a place.
    Queued,
    /// A worker has it.
    Leased,
    /// Its code and data are fetched.
    Syncing,
    /// Its dependencies are installed.
    Building,
    /// It runs.
    Running,
    /// Its data is taken in.
    Collecting,
    /// It is over.
    Finished,
}

impl Phase {
    const ALL: [Self; 7] = [
        Self::Queued,
        Self::Leased,
        Self::Syncing,
        Self::Building,
        Self::Running,
        Self::Collecting,
        Self::Finished,
    ];

    /// As it stands in JSON and on pages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Leased => "leased",
            Self::Syncing => "syncing",
            Self::Building => "building",
            Self::Running => "running",
            Self::Collecting => "collecting",
            Self::Finished => "finished",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.word() == word)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It exited with 0 and left data.
    Succeeded,
    /// It exited otherwise, or a signal ended it.
    Failed,
    /// Its dependencies could not be installed, or its language is not known.
    BuildFailed,
    /// Its code could not be fetched.
    SyncFailed,
    /// It exited with 0 and left no data.
    NoData,
    /// The kernel killed it for memory.
    OutOfMemory,
    /// It took too long.
    TimedOut,
    /// It wrote too much.
    DiskFull,
    /// Somebody stopped it.
    Stopped,
    /// Its worker was lost, three times.
    Lost,
}

impl Outcome {
    /// As it stands in JSON and on pages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::BuildFailed => "build_failed",
            Self::SyncFailed => "sync_failed",
            Self::NoData => "no_data",
            Self::OutOfMemory => "out_of_memory",
            Self::TimedOut => "timed_out",
            Self::DiskFull => "disk_full",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }

    /// Whether it says that something is wrong with the scraper: who stopped it knows, and a worker that was lost is not its fault.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Stopped | Self::Lost)
    }
}

/// What a run used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// From the start of the program to its end, in milliseconds.
    pub wall_ms: u64,
    /// Of all its processes, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory at one time, in bytes.
    pub peak_memory_bytes: u64,
    /// The most bytes in the work folder that were seen.
    pub disk_bytes: u64,
}

/// How the rows of one table changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowChanges {
    /// Rows whose key is new.
    pub added: u64,
    /// Rows whose key is gone.
    pub removed: u64,
    /// Rows whose key stayed and whose values did not.
    pub changed: u64,
    /// Rows that stayed as they were.
    pub unchanged: u64,
}

impl std::ops::AddAssign for RowChanges {
    fn add_assign(&mut self, other: Self) {
        self.added = self.added.saturating_add(other.added);
        self.removed = self.removed.saturating_add(other.removed);
        self.changed = self.changed.saturating_add(other.changed);
        self.unchanged = self.unchanged.saturating_add(other.unchanged);
    }
}

/// How the rows of each table changed, by the table's name.
pub type TableChanges = BTreeMap<String, RowChanges>;

/// Whom a run talked to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The name, or the address where there was none.
    pub host: String,
    /// Connections that were let through.
    pub connections: u64,
    /// Connections that were refused.
    pub refused: u64,
    /// Bytes that came.
    pub bytes_in: u64,
    /// Bytes that went.
    pub bytes_out: u64,
    /// The first connection.
    pub first_at: Timestamp,
    /// The last one.
    pub last_at: Timestamp,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Whose run it is.
    pub scraper: ScraperId,
    /// Why there is one.
    pub cause: Cause,
    /// Where it is.
    pub phase: Phase,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When a worker took it (the last time).
    pub leased_at: Option<Timestamp>,
    /// When the program started.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub finished_at: Option<Timestamp>,
    /// Which worker has it, or had it last.
    pub worker: Option<String>,
    /// How often a worker was lost, or the code could not be fetched.
    pub attempts: u32,
    /// Not before this; only after an attempt that failed for reasons of ours.
    pub not_before: Option<Timestamp>,
    /// Memory that is reserved for it, in MiB.
    pub memory_mib: u64,
    /// Whether somebody wants it stopped, and who.
    pub stop: Option<String>,
    /// What became of it.
    pub ending: Option<Ending>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ending {
    /// In one word.
    pub outcome: Outcome,
    /// The exit code, where the program exited.
    pub exit_code: Option<i32>,
    /// One sentence for people: what happened, and what to do. 2,000 bytes of it are kept.
    pub message: String,
    /// What it used.
    pub usage: Usage,
    /// How its rows changed, by key. 100 tables are kept, with 100 bytes of their names, and the rest together as `other tables`.
    pub changes: TableChanges,
    /// The same as morph counts, by rowid: all tables together.
    pub rowid_changes: RowChanges,
    /// Whom it talked to, most connections first. 100 are kept here, 1,000 with the scraper ([`Registry::domains`]).
    pub domains: Vec<Domain>,
    /// Its language.
    pub language: Option<String>,
    /// The commit, where the code came from git.
    pub revision: Option<String>,
    /// The version of the data that it left.
    pub version: Option<u64>,
    /// Lines and bytes of its log.
    pub log_lines: u64,
    /// Bytes of its log.
    pub log_bytes: u64,
}

impl Ending {
    /// An ending about which nothing else is known.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            outcome,
            exit_code: None,
            message: message.into(),
            usage: Usage::default(),
            changes: TableChanges::new(),
            rowid_changes: RowChanges::default(),
            domains: Vec::new(),
            language: None,
            revision: None,
            version: None,
            log_lines: 0,
            log_bytes: 0,
        }
    }

    /// The number that morph's users know: 0, the exit code, 255 (the platform's fault, or stopped), 998 (no data),
    /// 999 (the build failed).
    pub fn status_code(&self) -> i32 {
        match self.outcome {
            Outcome::Succeeded => 0,
            Outcome::Failed => self.exit_code.filter(|code| *code != 0).unwrap_or(255),
            Outcome::NoData => 998,
            Outcome::BuildFailed | Outcome::SyncFailed => 999,
            Outcome::OutOfMemory
            | Outcome::TimedOut
            | Outcome::DiskFull
            | Outcome::Stopped
            | Outcome::Lost => 255,
        }
    }
}

/// One version of a scraper's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// From 1, without gaps.
    pub number: u64,
    /// Of the file in the archive.
    pub checksum: Checksum,
    /// Its size.
    pub bytes: u64,
    /// The run that left it; none where somebody restored or imported it.
    pub run: Option<RunId>,
    /// When it came into force.
    pub at: Timestamp,
}

/// Who runs what is admitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// Its name, another in every life.
    pub name: String,
    /// When it was heard last.
    pub seen_at: Timestamp,
    /// MiB of memory for runs.
    pub memory_mib: u64,
    /// Runs at a time.
    pub slots: u32,
}

/// A run that this worker may work on, as long as it says so every now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    /// The run.
    pub run: Run,
    /// Of this lease; another lease of the same run has another.
    pub epoch: u64,
    /// The scraper.
    pub scraper: crate::scraper::Scraper,
    /// The newest version of its data.
    pub version: Option<Version>,
}

/// What a worker hears when it says that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Somebody wants the run stopped: who.
    Stop(RunId, String),
    /// The run is no longer this worker's.
    Drop(RunId),
}

/// What became of a wish for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A new run waits.
    Queued(RunId),
    /// One waits or runs already, and is this one too.
    Already(RunId),
}

/// What the end of a run changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// The run as it is now.
    pub run: Run,
    /// A failure, and the run before was none: the first of its runs that failed, too.
    pub is_first_failure: bool,
    /// The first success after a failure.
    pub is_recovery: bool,
    /// The schedule was paused because of too many failures.
    pub was_paused: bool,
    /// Runs of others that follow from it.
    pub followers: Vec<RunId>,
    /// Versions that are no longer kept, except those whose file one that is kept has, too: these files can be removed from the archive.
    pub dropped: Vec<Version>,
}

/// Which runs, newest first.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Of this scraper.
    pub scraper: Option<ScraperId>,
    /// Of all scrapers of this owner.
    pub owner: Option<OwnerName>,
    /// Only those that are not over (true), or that are (false).
    pub unfinished: Option<bool>,
    /// With one of these outcomes.
    pub outcomes: Vec<Outcome>,
    /// Older than this one.
    pub before: Option<RunId>,
    /// So many at most; 0: 100.
    pub limit: usize,
}
