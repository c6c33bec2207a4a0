use std::collections::BTreeMap;

use model::{Checksum, OwnerName, ScraperId, ScraperName};
use registry::{Limits, Missed, Origin, Overlap, Scraper, ScraperSettings};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::mirrored;
use crate::display::rfc3339;

/// A scraper: a program that collects data.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scraper)]
pub(crate) struct ScraperBody {
    /// Whose it is.
    owner: String,
    name: String,
    origin: OriginBody,
    settings: ScraperSettingsBody,
    /// RFC 3339.
    created_at: String,
    /// When its schedule is due next, RFC 3339.
    due_at: Option<String>,
    /// Why its schedule stands still, where it does.
    paused: Option<String>,
    /// Runs that failed since the last that succeeded.
    failures: u32,
    /// The run that is not over.
    unfinished_run: Option<u64>,
    /// The newest run.
    last_run: Option<u64>,
    /// The number of the newest version of its data.
    version: Option<u64>,
    /// The language of its last run.
    language: Option<String>,
    /// The most memory that its recent runs used.
    used_memory_mib: Option<u64>,
}

impl From<&Scraper> for ScraperBody {
    fn from(scraper: &Scraper) -> Self {
        Self {
            owner: scraper.id.owner.to_string(),
            name: scraper.id.name.to_string(),
            origin: OriginBody::from(&scraper.origin),
            settings: ScraperSettingsBody::from(&scraper.settings),
            created_at: rfc3339(scraper.created_at),
            due_at: scraper.due_at.map(rfc3339),
            paused: scraper.paused.clone(),
            failures: scraper.failures,
            unfinished_run: scraper.unfinished.map(|run| run.0),
            last_run: scraper.last_run.map(|run| run.0),
            version: scraper.version,
            language: scraper.language.clone(),
            used_memory_mib: scraper.used_memory_mib,
        }
    }
}

/// A scraper to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewScraperBody {
    /// Whose it will be: you, or an organisation of yours; you where it is missing.
    #[schema(value_type = Option<String>)]
    pub(crate) owner: Option<OwnerName>,
    /// Letters, digits, '-', '_' and '.'.
    #[schema(value_type = String, example = "planning")]
    pub(crate) name: ScraperName,
    pub(crate) origin: OriginBody,
    /// What is left out has its default.
    #[serde(default)]
    pub(crate) settings: ScraperSettingsBody,
}

/// What a scraper is from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangedScraper {
    pub(crate) origin: OriginBody,
    /// All of them: what is left out has its default again.
    pub(crate) settings: ScraperSettingsBody,
}

/// Where the code comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Origin)]
pub(crate) enum OriginBody {
    /// A folder of the workers' machine, where the server allows it.
    Folder {
        /// Absolute.
        path: String,
    },
    /// A git repository.
    Git {
        /// `https://...`, without credentials.
        #[schema(example = "https://git.example.gov/scrapers/planning.git")]
        url: String,
        /// A branch, tag or commit; the repository's default branch where it is missing.
        #[serde(default)]
        reference: Option<String>,
    },
    /// What was sent to `.../code` last.
    Upload {
        /// Of the archive that was sent.
        #[schema(value_type = String)]
        checksum: Checksum,
    },
}

impl From<&Origin> for OriginBody {
    fn from(origin: &Origin) -> Self {
        match origin.clone() {
            Origin::Folder { path } => Self::Folder { path },
            Origin::Git { url, reference } => Self::Git { url, reference },
            Origin::Upload { checksum } => Self::Upload { checksum },
        }
    }
}

impl From<OriginBody> for Origin {
    fn from(body: OriginBody) -> Self {
        match body {
            OriginBody::Folder { path } => Self::Folder { path },
            OriginBody::Git { url, reference } => Self::Git { url, reference },
            OriginBody::Upload { checksum } => Self::Upload { checksum },
        }
    }
}

/// What its owner says about a scraper.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ScraperSettings)]
pub(crate) struct ScraperSettingsBody {
    /// One line about it.
    description: String,
    /// When it runs by itself, such as `every 6h`, `daily` or `cron 0 3 * * * Europe/Oslo`.
    schedule: Option<String>,
    /// When a run is due and the last one is not over: `skip`, `queue` or `cancel` the old one.
    #[schema(value_type = String, example = "skip")]
    overlap: Overlap,
    /// When turns were missed: `skip` them, or run `once`.
    #[schema(value_type = String, example = "once")]
    missed: Missed,
    /// Runs after every run of this scraper that succeeded: `owner/name`.
    #[schema(value_type = Option<String>)]
    after: Option<ScraperId>,
    limits: LimitsBody,
    /// Keep what is in `data.sqlite` after a failed run.
    keep_after_failure: bool,
    /// Versions of the data that are kept.
    keep_versions: u32,
    /// Columns whose changes do not count.
    #[schema(example = json!(["date_scraped"]))]
    ignore_columns: Vec<String>,
    /// Failed runs in a row after which its schedule pauses; 0: never.
    pause_after_failures: u32,
    /// Record the traffic of each run, to replay it without a network.
    record: bool,
    /// Named questions: name and SQL.
    queries: BTreeMap<String, String>,
    /// Whether the data may be read without a key.
    public: bool,
}

impl Default for ScraperSettingsBody {
    fn default() -> Self {
        Self::from(&ScraperSettings::default())
    }
}

impl From<&ScraperSettings> for ScraperSettingsBody {
    fn from(settings: &ScraperSettings) -> Self {
        let settings = settings.clone();
        Self {
            description: settings.description,
            schedule: settings.schedule,
            overlap: settings.overlap,
            missed: settings.missed,
            after: settings.after,
            limits: LimitsBody::from(&settings.limits),
            keep_after_failure: settings.keep_after_failure,
            keep_versions: settings.keep_versions,
            ignore_columns: settings.ignore_columns,
            pause_after_failures: settings.pause_after_failures,
            record: settings.record,
            queries: settings.queries,
            public: settings.public,
        }
    }
}

impl From<ScraperSettingsBody> for ScraperSettings {
    fn from(body: ScraperSettingsBody) -> Self {
        Self {
            description: body.description,
            schedule: body.schedule,
            overlap: body.overlap,
            missed: body.missed,
            after: body.after,
            limits: body.limits.into(),
            keep_after_failure: body.keep_after_failure,
            keep_versions: body.keep_versions,
            ignore_columns: body.ignore_columns,
            pause_after_failures: body.pause_after_failures,
            record: body.record,
            queries: body.queries,
            public: body.public,
        }
    }
}

mirrored! {
    /// What a run may use.
    #[schema(as = Limits)]
    LimitsBody of Limits {
        /// Of memory, all processes together.
        memory_mib: u64,
        /// Processes and threads.
        processes: u64,
        /// In the work folder.
        disk_mib: u64,
        /// In `/tmp`.
        tmp_mib: u64,
        /// Of running.
        run_seconds: u64,
        /// Of building.
        build_seconds: u64,
        /// Of log.
        log_lines: u64,
        /// Of log.
        log_bytes: u64,
    }
}
