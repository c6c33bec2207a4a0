use crawldb::{Decision, Disposition, Item, ItemErrorKind, ItemState, Orphan, Ruling};
use serde::Serialize;
use utoipa::ToSchema;

use crate::display::rfc3339;

/// One thing in a source, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
pub(crate) struct ItemBody {
    source: String,
    id: String,
    url: String,
    /// What it is grouped by inside the source: the host of web items.
    scope: String,
    #[schema(value_type = String, example = "success")]
    state: ItemState,
    /// Which write its content is from.
    version: u64,
    /// The crawl that last touched it.
    crawl: String,
    configuration: u64,
    /// RFC 3339.
    first_seen_at: String,
    /// The start of the newest crawl that saw it, RFC 3339.
    seen_crawl_at: String,
    /// When it was last applied or found unchanged, RFC 3339.
    last_updated: Option<String>,
    /// When it is due, RFC 3339; only while it waits.
    next_attempt_at: Option<String>,
    lease: Option<LeaseBody>,
    /// Failed attempts in this crawl.
    retry_count: u32,
    /// Failed attempts in a row, over crawls.
    consecutive_failures: u32,
    last_error: Option<ItemErrorBody>,
    /// SHA-256 of the bytes as last fetched.
    checksum: Option<String>,
    /// `indexed`, `alias`, `noindex`, `disallowed` or `unsupported`, once it was processed.
    disposition: Option<&'static str>,
    /// The item that it is an alias of, or the media type that is unsupported.
    disposition_of: Option<String>,
    /// Where the archive keeps its bytes.
    content: Option<String>,
    /// Where the archive keeps its text.
    extract: Option<String>,
    etag: Option<String>,
    last_modified: Option<String>,
    /// The item whose content named this one first.
    parent: Option<String>,
    /// Links from a start URL.
    depth: u32,
    /// Items that redirect here or name this one as canonical.
    aliases: Vec<String>,
    /// While complete crawls miss it.
    orphan: Option<OrphanBody>,
    /// What a person decided about it last.
    ruling: Option<RulingBody>,
}

/// Who works on an item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Lease)]
struct LeaseBody {
    owner: String,
    epoch: u64,
    /// RFC 3339.
    until: String,
}

/// The last thing that went wrong with an item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ItemError)]
struct ItemErrorBody {
    #[schema(value_type = String, example = "timeout")]
    kind: ItemErrorKind,
    message: String,
    /// RFC 3339.
    at: String,
}

/// Since when, and in how many complete crawls, an item was missed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Orphan)]
struct OrphanBody {
    /// The start of the first crawl that missed it, RFC 3339.
    since: String,
    misses: u32,
}

impl From<&Orphan> for OrphanBody {
    fn from(orphan: &Orphan) -> Self {
        Self {
            since: rfc3339(orphan.since),
            misses: orphan.misses,
        }
    }
}

/// A decision about an item.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ruling)]
struct RulingBody {
    #[schema(value_type = String, example = "requeue")]
    decision: Decision,
    reason: String,
    by: String,
    /// RFC 3339.
    at: String,
}

impl From<&Ruling> for RulingBody {
    fn from(ruling: &Ruling) -> Self {
        Self {
            decision: ruling.decision,
            reason: ruling.reason.clone(),
            by: ruling.by.clone(),
            at: rfc3339(ruling.at),
        }
    }
}

impl From<&Item> for ItemBody {
    fn from(item: &Item) -> Self {
        let (disposition, disposition_of) = item.disposition.as_ref().map(disposition).unzip();
        Self {
            source: item.source.to_string(),
            id: item.id.to_string(),
            url: item.url.to_string(),
            scope: item.scope.clone(),
            state: item.state,
            version: item.version.as_u64(),
            crawl: item.crawl.to_string(),
            configuration: item.configuration,
            first_seen_at: rfc3339(item.first_seen_at),
            seen_crawl_at: rfc3339(item.seen_crawl_at),
            last_updated: item.last_updated.map(rfc3339),
            next_attempt_at: is_waiting(item.state).then(|| rfc3339(item.next_attempt_at)),
            lease: item.lease.as_ref().map(|lease| LeaseBody {
                owner: lease.owner.clone(),
                epoch: lease.epoch,
                until: rfc3339(lease.until),
            }),
            retry_count: item.retry_count,
            consecutive_failures: item.consecutive_failures,
            last_error: item.last_error.as_ref().map(|error| ItemErrorBody {
                kind: error.kind,
                message: error.message.clone(),
                at: rfc3339(error.at),
            }),
            checksum: item.checksum.map(|checksum| checksum.to_string()),
            disposition,
            disposition_of: disposition_of.flatten(),
            content: item.content.as_ref().map(ToString::to_string),
            extract: item.extract.as_ref().map(ToString::to_string),
            etag: item.etag.clone(),
            last_modified: item.last_modified.clone(),
            parent: item.parent.as_ref().map(ToString::to_string),
            depth: item.depth,
            aliases: item.aliases.iter().map(ToString::to_string).collect(),
            orphan: item.orphan.as_ref().map(OrphanBody::from),
            ruling: item.ruling.as_ref().map(RulingBody::from),
        }
    }
}

/// Whether `next_attempt_at` means anything.
pub(crate) fn is_waiting(state: ItemState) -> bool {
    matches!(state, ItemState::Pending | ItemState::Failure)
}

/// The word for a disposition, and what it is of.
pub(crate) fn disposition(disposition: &Disposition) -> (&'static str, Option<String>) {
    match disposition {
        Disposition::Indexed => ("indexed", None),
        Disposition::Alias(item) => ("alias", Some(item.to_string())),
        Disposition::Noindex => ("noindex", None),
        Disposition::Disallowed => ("disallowed", None),
        Disposition::Unsupported(media_type) => ("unsupported", Some(media_type.clone())),
    }
}

/// Every state with its name in JSON and addresses.
pub(crate) const STATES: [(ItemState, &str); 10] = [
    (ItemState::Success, "success"),
    (ItemState::Unchanged, "unchanged"),
    (ItemState::InFlight, "in_flight"),
    (ItemState::Pending, "pending"),
    (ItemState::Failure, "failure"),
    (ItemState::Escalated, "escalated"),
    (ItemState::Ignored, "ignored"),
    (ItemState::OrphanCandidate, "orphan_candidate"),
    (ItemState::Deleting, "deleting"),
    (ItemState::Deleted, "deleted"),
];

/// The name of a state in JSON and addresses.
pub(crate) fn state_name(state: ItemState) -> &'static str {
    STATES
        .iter()
        .find(|(known, _)| *known == state)
        .map_or("pending", |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_named_as_it_is_stored() {
        for (state, name) in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), name);
        }
    }
}
