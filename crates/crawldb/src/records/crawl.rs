use std::collections::BTreeMap;
use std::time::Duration;

use model::{CrawlId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ItemState, Revision, Scope};

/// The states of a crawl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrawlStatus {
    /// Asked for.
    Pending,
    /// Start URLs and sitemaps are being read.
    Enumerating,
    /// Items are being processed (and, on sites, found).
    Processing,
    /// Every item is terminal; what was applied is on its way to the log.
    Draining,
    /// Orphans are being looked for.
    Orphans,
    /// Over, and complete.
    Completed,
    /// Over: it could not go on.
    Failed,
    /// Over: somebody stopped it.
    Cancelled,
    /// Over but for a decision that a person must take.
    Blocked,
}

impl CrawlStatus {
    /// Whether nothing more will happen by itself.
    pub fn is_over(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Blocked
        )
    }
}

/// What a crawl has done so far, or did: equal to a recount of its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CrawlTotals {
    /// Items that it saw.
    pub seen: u64,
    /// Of these, never seen before.
    pub new: u64,
    /// Applied with new content, and not new.
    pub changed: u64,
    /// Found equal.
    pub unchanged: u64,
    /// Waiting for a retry.
    pub failed: u64,
    /// Left to a person.
    pub escalated: u64,
    /// Gone.
    pub deleted: u64,
    /// Due or in flight.
    pub open: u64,
}

/// One pass over a source: the seed's history record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crawl {
    /// Crawl ID of the seed; carries source and start.
    pub id: CrawlId,
    /// Compare-and-swap token.
    #[serde(default)]
    pub revision: Revision,
    /// Crawl Status of the seed.
    pub status: CrawlStatus,
    /// Crawl Start Timestamp of the seed.
    pub started_at: Timestamp,
    /// Crawl End Timestamp of the seed.
    pub ended_at: Option<Timestamp>,
    /// Which version of the source's configuration it uses.
    pub configuration: u64,
    /// Of the source's lock.
    pub epoch: u64,
    /// Microservice ID of the seed: who runs it.
    pub service: String,
    /// Until when it is taken for granted that this one is alive; after that, another one may take the crawl over.
    #[serde(default)]
    pub alive_until: Timestamp,
    /// Total Items Crawled of the seed, in parts.
    pub totals: CrawlTotals,
    /// Bytes of bodies as they came over the network.
    pub fetched_bytes: u64,
    /// Requests that were answered.
    pub fetches: u64,
    /// Milliseconds spent on them in sum; with `fetches` the Average Item Processing Time of the seed.
    pub processing_ms: u64,
    /// Items that were written to the index: applied or deleted.
    #[serde(default)]
    pub indexed: u64,
    /// Why it failed or is blocked.
    pub reason: Option<String>,
    /// What it passes over.
    #[serde(default)]
    pub kind: CrawlKind,
    /// How far it knows what the source holds.
    #[serde(default)]
    pub enumeration: Enumeration,
    /// Where the source's topics stood.
    #[serde(default)]
    pub marks: LogMarks,
    /// What became of items that it missed.
    #[serde(default)]
    pub orphans: OrphanReport,
}

impl Crawl {
    /// How long it took, or takes by `now`.
    pub fn duration(&self, now: Timestamp) -> Duration {
        self.ended_at.unwrap_or(now).since(self.started_at)
    }

    /// Items that it deleted: those that answered that they are gone, and orphans.
    pub fn deleted(&self) -> u64 {
        self.totals.deleted + self.orphans.deleted
    }

    /// Average Item Processing Time of the seed; none before the first answer.
    pub fn average_processing(&self) -> Option<Duration> {
        self.processing_ms
            .checked_div(self.fetches)
            .map(Duration::from_millis)
    }

    /// Input Speed of the seed: answers of the source per second.
    pub fn input_speed(&self, now: Timestamp) -> f64 {
        per_second(self.fetches, self.duration(now))
    }

    /// Output Speed of the seed: items written to the index per second.
    pub fn output_speed(&self, now: Timestamp) -> f64 {
        per_second(self.indexed, self.duration(now))
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(0.001)
}

/// What a crawl passes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrawlKind {
    /// Everything: what it does not see may be gone.
    #[default]
    Full,
    /// Only what the source says has changed since the last crawl: it never deletes.
    Incremental,
}

/// How far a crawl knows what the source holds. An error in a scope protects what it may have hidden.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Enumeration {
    /// When everything had been named that can be named without processing items.
    pub ended_at: Option<Timestamp>,
    /// Scopes that were not enumerated to their end, and why; at most [`MAX_INCOMPLETE`](crate::MAX_INCOMPLETE).
    pub incomplete: BTreeMap<Scope, String>,
    /// Why nothing that it missed may be taken for gone, in any scope: a limit was reached, say.
    pub cut: Option<String>,
}

/// Offsets of the source's topics, per partition by number.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogMarks {
    /// The end of the live topic when the crawl started: what lies behind it is newer than the crawl.
    pub live_start: Vec<u64>,
    /// The end of the live topic when enumeration ended: what lies before it must be applied before orphans are judged.
    pub live_enumerated: Vec<u64>,
    /// The end of `applied` when the crawl started.
    pub applied_start: Vec<u64>,
    /// The end of `applied` when the crawl ended: replay goes on from here.
    pub applied_end: Vec<u64>,
}

/// What became of items that a crawl missed.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OrphanReport {
    /// Items that it missed and that an older crawl knew.
    pub candidates: u64,
    /// Of these, protected by an error of the crawl above them.
    pub protected: u64,
    /// Found present when the source was asked.
    pub present: u64,
    /// The source could not tell; they are asked for again.
    pub deferred: u64,
    /// Still within their grace.
    pub waiting: u64,
    /// Deleted.
    pub deleted: u64,
    /// Why nothing was deleted, where a condition did not hold.
    pub withheld: Option<String>,
    /// Why a person must approve before anything is deleted.
    pub blocked: Option<String>,
    /// Who approved it.
    pub approval: Option<Approval>,
    /// When the last sweep for this crawl ended.
    pub swept_at: Option<Timestamp>,
    /// When another sweep for this crawl may get further: a grace is over by then, or the source is asked again.
    #[serde(default)]
    pub again_at: Option<Timestamp>,
}

impl OrphanReport {
    /// How the crawl ends, once it was swept: blocked where a person must approve.
    pub fn ending(&self) -> CrawlStatus {
        if self.blocked.is_some() {
            CrawlStatus::Blocked
        } else {
            CrawlStatus::Completed
        }
    }
}

/// A person's word that what a guard blocked may go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// How many items of a crawl there are by state, and how many of them are new.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Counts {
    /// Per state: all, and those first seen by this crawl.
    pub by_state: BTreeMap<ItemState, (u64, u64)>,
}

impl Counts {
    /// The same as the figures of a crawl.
    pub fn totals(&self) -> CrawlTotals {
        let of = |state| self.by_state.get(&state).copied().unwrap_or_default();
        let (success, new_success) = of(ItemState::Success);
        CrawlTotals {
            seen: self.by_state.values().map(|(all, _)| all).sum(),
            new: self.by_state.values().map(|(_, new)| new).sum(),
            changed: success - new_success,
            unchanged: of(ItemState::Unchanged).0,
            failed: of(ItemState::Failure).0,
            escalated: of(ItemState::Escalated).0,
            deleted: of(ItemState::Deleted).0,
            open: of(ItemState::Pending).0 + of(ItemState::InFlight).0,
        }
    }
}
