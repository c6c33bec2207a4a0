use std::collections::BTreeMap;

use crawldb::{
    Approval, Crawl, CrawlKind, CrawlStatus, CrawlTotals, Enumeration, LogMarks, OrphanReport, ScopeCount,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::mirrored;
use crate::clock;
use crate::display::rfc3339;

mirrored! {
    /// How many items a crawl saw, and what became of them.
    #[schema(as = CrawlTotals)]
    TotalsBody of CrawlTotals {
        seen: u64,
        /// Never seen before.
        new: u64,
        /// Applied with new content, and not new.
        changed: u64,
        unchanged: u64,
        /// Waiting for a retry.
        failed: u64,
        /// Left to a person.
        escalated: u64,
        /// Gone.
        deleted: u64,
        /// Due or in flight.
        open: u64,
    }
}

mirrored! {
    /// Where the topics of the source stood, per partition by number.
    #[schema(as = LogMarks)]
    MarksBody of LogMarks {
        /// The end of the live topic when the crawl started: what lies behind it is newer than the crawl.
        live_start: Vec<u64>,
        /// The end of the live topic when enumeration ended: applied before orphans are judged.
        live_enumerated: Vec<u64>,
        /// The end of `applied` when the crawl started.
        applied_start: Vec<u64>,
        /// The end of `applied` when the crawl ended: a replay goes on from here.
        applied_end: Vec<u64>,
    }
}

/// One pass over a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Crawl)]
pub(crate) struct CrawlBody {
    #[schema(example = "example.gov@1700000000000")]
    id: String,
    source: String,
    /// `full` or `incremental`.
    #[schema(value_type = String, example = "full")]
    kind: CrawlKind,
    #[schema(value_type = String, example = "processing")]
    status: CrawlStatus,
    /// RFC 3339.
    started_at: String,
    /// RFC 3339; missing while it runs.
    ended_at: Option<String>,
    /// The version of the source's settings that it uses.
    configuration: u64,
    /// Who runs it.
    service: String,
    /// Of the source's lock.
    epoch: u64,
    /// Until when it is taken for granted that its process lives, RFC 3339; missing when it is over.
    alive_until: Option<String>,
    totals: TotalsBody,
    /// Bytes of bodies as they came over the network.
    fetched_bytes: u64,
    /// Requests that were answered.
    fetches: u64,
    /// Items that were written to the index.
    indexed: u64,
    /// Mean time from a request to its applied item.
    average_processing_ms: Option<u64>,
    /// Answers of the source per second.
    input_per_second: f64,
    /// Items written to the index per second.
    output_per_second: f64,
    /// Why it failed or is blocked.
    reason: Option<String>,
    enumeration: EnumerationBody,
    marks: MarksBody,
    orphans: OrphanReportBody,
}

impl From<&Crawl> for CrawlBody {
    fn from(crawl: &Crawl) -> Self {
        let now = clock::now();
        let average = crawl.average_processing();
        Self {
            id: crawl.id.to_string(),
            source: crawl.id.source().to_string(),
            kind: crawl.kind,
            status: crawl.status,
            started_at: rfc3339(crawl.started_at),
            ended_at: crawl.ended_at.map(rfc3339),
            configuration: crawl.configuration,
            service: crawl.service.clone(),
            epoch: crawl.epoch,
            alive_until: (!crawl.status.is_over()).then(|| rfc3339(crawl.alive_until)),
            totals: TotalsBody::from(&crawl.totals),
            fetched_bytes: crawl.fetched_bytes,
            fetches: crawl.fetches,
            indexed: crawl.indexed,
            average_processing_ms: average.and_then(|average| u64::try_from(average.as_millis()).ok()),
            input_per_second: crawl.input_speed(now),
            output_per_second: crawl.output_speed(now),
            reason: crawl.reason.clone(),
            enumeration: EnumerationBody::from(&crawl.enumeration),
            marks: MarksBody::from(&crawl.marks),
            orphans: OrphanReportBody::from(&crawl.orphans),
        }
    }
}

/// How far a crawl knows what the source holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enumeration)]
struct EnumerationBody {
    /// When everything had been named that can be named without processing items, RFC 3339.
    ended_at: Option<String>,
    /// Scopes that were not enumerated to their end, and why: nothing is taken for gone in them.
    incomplete: BTreeMap<String, String>,
    /// Why nothing may be taken for gone in any scope.
    cut: Option<String>,
}

impl From<&Enumeration> for EnumerationBody {
    fn from(enumeration: &Enumeration) -> Self {
        Self {
            ended_at: enumeration.ended_at.map(rfc3339),
            incomplete: enumeration.incomplete.clone(),
            cut: enumeration.cut.clone(),
        }
    }
}

/// What became of items that a crawl missed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrphanReport)]
struct OrphanReportBody {
    /// Items that it missed and that an older crawl knew.
    candidates: u64,
    /// Protected by an error of the crawl above them.
    protected: u64,
    /// Found present when the source was asked.
    present: u64,
    /// The source could not tell.
    deferred: u64,
    /// Still within their grace.
    waiting: u64,
    deleted: u64,
    /// Why nothing was deleted, where a condition did not hold.
    withheld: Option<String>,
    /// Why a person must approve before anything is deleted.
    blocked: Option<String>,
    approval: Option<ApprovalBody>,
    /// When the last sweep ended, RFC 3339.
    swept_at: Option<String>,
    /// When another sweep may get further, RFC 3339.
    again_at: Option<String>,
}

impl From<&OrphanReport> for OrphanReportBody {
    fn from(report: &OrphanReport) -> Self {
        Self {
            candidates: report.candidates,
            protected: report.protected,
            present: report.present,
            deferred: report.deferred,
            waiting: report.waiting,
            deleted: report.deleted,
            withheld: report.withheld.clone(),
            blocked: report.blocked.clone(),
            approval: report.approval.as_ref().map(ApprovalBody::from),
            swept_at: report.swept_at.map(rfc3339),
            again_at: report.again_at.map(rfc3339),
        }
    }
}

/// A person's word that what a guard blocked may go on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
struct ApprovalBody {
    by: String,
    reason: String,
    /// RFC 3339.
    at: String,
}

impl From<&Approval> for ApprovalBody {
    fn from(approval: &Approval) -> Self {
        Self {
            by: approval.by.clone(),
            reason: approval.reason.clone(),
            at: rfc3339(approval.at),
        }
    }
}

/// How many items of one scope a crawl knows.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scope)]
pub(crate) struct ScopeBody {
    /// The host of web items.
    #[schema(example = "example.gov")]
    scope: String,
    items: u64,
    /// Not yet terminal.
    open: u64,
    /// Why it was not enumerated to its end, where it was not.
    incomplete: Option<String>,
}

impl ScopeBody {
    /// The scope as counted, and why it is incomplete.
    pub(crate) fn of(count: &ScopeCount, enumeration: &Enumeration) -> Self {
        Self {
            scope: count.scope.clone(),
            items: count.items,
            open: count.open,
            incomplete: enumeration.incomplete.get(&count.scope).cloned(),
        }
    }
}
