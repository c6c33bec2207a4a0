use std::collections::BTreeMap;

use registry::{Asked, Cause, Domain, Ending, Outcome, Phase, RowChanges, Run, Usage, Version};
use serde::Serialize;
use utoipa::ToSchema;

use super::mirrored;
use crate::display::rfc3339;

/// A run of a scraper.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Run)]
pub(crate) struct RunBody {
    /// Its number.
    id: u64,
    /// `owner/name`.
    scraper: String,
    cause: CauseBody,
    /// `queued`, `leased`, `syncing`, `building`, `running`, `collecting` or `finished`.
    #[schema(value_type = String, example = "running")]
    phase: Phase,
    /// When it was asked for, RFC 3339.
    queued_at: String,
    /// When a worker took it, RFC 3339.
    leased_at: Option<String>,
    /// When its program started, RFC 3339.
    started_at: Option<String>,
    /// When it was over, RFC 3339.
    finished_at: Option<String>,
    /// Which worker has it, or had it last.
    worker: Option<String>,
    /// How often a worker was lost, or the code could not be fetched.
    attempts: u32,
    /// Memory that is reserved for it.
    memory_mib: u64,
    /// Who wants it stopped, where somebody does.
    stopped_by: Option<String>,
    /// What became of it, where it is over.
    ending: Option<EndingBody>,
}

impl From<&Run> for RunBody {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id.0,
            scraper: run.scraper.to_string(),
            cause: CauseBody::from(&run.cause),
            phase: run.phase,
            queued_at: rfc3339(run.queued_at),
            leased_at: run.leased_at.map(rfc3339),
            started_at: run.started_at.map(rfc3339),
            finished_at: run.finished_at.map(rfc3339),
            worker: run.worker.clone(),
            attempts: run.attempts,
            memory_mib: run.memory_mib,
            stopped_by: run.stop.clone(),
            ending: run.ending.as_ref().map(EndingBody::from),
        }
    }
}

/// Why there is a run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = Cause)]
enum CauseBody {
    /// Somebody said so.
    Person {
        /// Who.
        by: String,
    },
    /// A program did, with a key.
    Api {
        /// Whose key.
        by: String,
    },
    /// It was time.
    Schedule,
    /// Its repository changed.
    Push,
    /// Another scraper finished.
    After {
        /// Which.
        scraper: String,
    },
    /// Code was sent along, to be run once.
    Upload {
        /// Who sent it.
        by: String,
    },
}

impl From<&Cause> for CauseBody {
    fn from(cause: &Cause) -> Self {
        match cause {
            Cause::Person { by } => Self::Person { by: by.to_string() },
            Cause::Api { by } => Self::Api { by: by.to_string() },
            Cause::Schedule => Self::Schedule,
            Cause::Push => Self::Push,
            Cause::After { scraper } => Self::After {
                scraper: scraper.to_string(),
            },
            Cause::Upload { by, .. } => Self::Upload { by: by.to_string() },
        }
    }
}

/// What became of a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ending)]
struct EndingBody {
    /// `succeeded`, `failed`, `build_failed`, `sync_failed`, `no_data`, `out_of_memory`, `timed_out`, `disk_full`, `stopped` or `lost`.
    #[schema(value_type = String, example = "succeeded")]
    outcome: Outcome,
    /// Where the program exited.
    exit_code: Option<i32>,
    /// The number that morph's users know.
    status_code: i32,
    /// What happened, and what to do.
    message: String,
    usage: UsageBody,
    /// How its rows changed, by table.
    changes: BTreeMap<String, RowChangesBody>,
    /// Whom it talked to.
    domains: Vec<DomainBody>,
    /// Its language.
    language: Option<String>,
    /// The commit, where the code came from git.
    revision: Option<String>,
    /// The version of the data that it left.
    version: Option<u64>,
    log_lines: u64,
    log_bytes: u64,
}

impl From<&Ending> for EndingBody {
    fn from(ending: &Ending) -> Self {
        let changes = ending.changes.iter();
        Self {
            outcome: ending.outcome,
            exit_code: ending.exit_code,
            status_code: ending.status_code(),
            message: ending.message.clone(),
            usage: UsageBody::from(&ending.usage),
            changes: changes
                .map(|(table, rows)| (table.clone(), RowChangesBody::from(rows)))
                .collect(),
            domains: ending.domains.iter().map(DomainBody::from).collect(),
            language: ending.language.clone(),
            revision: ending.revision.clone(),
            version: ending.version,
            log_lines: ending.log_lines,
            log_bytes: ending.log_bytes,
        }
    }
}

mirrored! {
    /// What a run used.
    #[schema(as = Usage)]
    UsageBody of Usage {
        /// From the start of the program to its end.
        wall_ms: u64,
        /// Of all its processes.
        cpu_ms: u64,
        /// The most memory at one time.
        peak_memory_bytes: u64,
        /// The most in the work folder.
        disk_bytes: u64,
    }
}

mirrored! {
    /// How the rows of a table changed.
    #[schema(as = RowChanges)]
    RowChangesBody of RowChanges {
        /// Rows whose key is new.
        added: u64,
        /// Rows whose key is gone.
        removed: u64,
        /// Rows whose key stayed and whose values did not.
        changed: u64,
        /// Rows that stayed as they were.
        unchanged: u64,
    }
}

/// A host that a run talked to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Domain)]
struct DomainBody {
    host: String,
    connections: u64,
    /// Connections that were not let through.
    refused: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// RFC 3339.
    first_at: String,
    /// RFC 3339.
    last_at: String,
}

impl From<&Domain> for DomainBody {
    fn from(domain: &Domain) -> Self {
        Self {
            host: domain.host.clone(),
            connections: domain.connections,
            refused: domain.refused,
            bytes_in: domain.bytes_in,
            bytes_out: domain.bytes_out,
            first_at: rfc3339(domain.first_at),
            last_at: rfc3339(domain.last_at),
        }
    }
}

/// What became of a wish for a run.
#[derive(Serialize, ToSchema)]
#[schema(as = Asked)]
pub(crate) struct AskedBody {
    /// The run's number.
    run: u64,
    /// Whether it waited or ran before: there is one run of a scraper at a time.
    was_there: bool,
}

impl From<Asked> for AskedBody {
    fn from(asked: Asked) -> Self {
        let (run, was_there) = match asked {
            Asked::Queued(run) => (run, false),
            Asked::Already(run) => (run, true),
        };
        Self {
            run: run.0,
            was_there,
        }
    }
}

/// A version of a scraper's data.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Version)]
pub(crate) struct VersionBody {
    /// From 1.
    number: u64,
    /// SHA-256 of the file.
    checksum: String,
    bytes: u64,
    /// The run that left it; none where it was restored or imported.
    run: Option<u64>,
    /// When it came into force, RFC 3339.
    at: String,
}

impl From<&Version> for VersionBody {
    fn from(version: &Version) -> Self {
        Self {
            number: version.number,
            checksum: version.checksum.to_string(),
            bytes: version.bytes,
            run: version.run.map(|run| run.0),
            at: rfc3339(version.at),
        }
    }
}
