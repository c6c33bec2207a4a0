//! What an outcome makes of an item, whoever brings it: a crawl or the source itself.

use std::time::Duration;

use model::{ArchiveKey, Checksum, Timestamp, Version};

use super::{Finished, Outcome, make_due};
use crate::records::{Disposition, Item, ItemError, ItemErrorKind, ItemState, RetryPolicy};

/// Bytes of an error message at most.
pub const MAX_ERROR_BYTES: usize = 500;
/// The longest wait that a `Retry-After` may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// How an outcome is written.
pub(super) struct Settling<'a> {
    /// Of the write.
    pub(super) version: Version,
    pub(super) retry: &'a RetryPolicy,
    pub(super) now: Timestamp,
    pub(super) jitter: f64,
}

/// The item as it is after the outcome. The caller has taken the lease away.
pub(super) fn settle(mut item: Item, outcome: &Outcome, how: &Settling<'_>) -> Finished {
    match outcome {
        Outcome::Released => {
            make_due(&mut item, how.now);
            Finished::Released(item)
        }
        Outcome::Failed {
            error,
            retry_after,
            retryable,
        } => failed(item, error, *retry_after, *retryable, how),
        Outcome::Gone { reason } => gone(item, how.version, reason, how.now),
        Outcome::Unchanged { .. } if item.disposition.is_none() => {
            failed(item, &nothing_known(how.now), None, true, how)
        }
        Outcome::Unchanged { etag, last_modified } => {
            keep_validators(&mut item, etag.as_ref(), last_modified.as_ref());
            unchanged(item, how)
        }
        Outcome::Applied {
            checksum,
            disposition,
            content,
            extract,
            etag,
            last_modified,
        } => {
            let answer = Answer {
                checksum,
                disposition,
                content,
                extract,
                etag,
                last_modified,
            };
            applied(item, &answer, how)
        }
    }
}

/// The item was deleted since the source was asked, or the source answers what nobody asked.
fn nothing_known(at: Timestamp) -> ItemError {
    ItemError {
        kind: ItemErrorKind::Content,
        message: "the source says that it is unchanged, but nothing is known of it; it is fetched anew"
            .into(),
        at,
    }
}

/// What was indexed before stays: a failure says nothing about the content.
fn failed(
    mut item: Item,
    error: &ItemError,
    retry_after: Option<Duration>,
    retryable: bool,
    how: &Settling<'_>,
) -> Finished {
    item.retry_count = item.retry_count.saturating_add(1);
    item.consecutive_failures = item.consecutive_failures.saturating_add(1);
    item.last_error = Some(ItemError {
        message: shortened(&error.message, MAX_ERROR_BYTES),
        ..error.clone()
    });
    if !retryable || item.retry_count > how.retry.max_retries {
        item.state = ItemState::Escalated;
        return Finished::Escalated(item);
    }
    let wait = how
        .retry
        .delay(item.retry_count)
        .mul_f64(0.5 + 0.5 * how.jitter.clamp(0.0, 1.0));
    let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    item.state = ItemState::Failure;
    item.next_attempt_at = how.now.after(wait.max(asked));
    Finished::Retry(item)
}

/// The tombstone keeps the version, so that nothing older brings the item back.
pub(super) fn gone(mut item: Item, version: Version, reason: &str, now: Timestamp) -> Finished {
    let was_indexed = item.disposition == Some(Disposition::Indexed);
    stamp(&mut item, ItemState::Deleted, version, now);
    item.last_error = Some(ItemError {
        kind: ItemErrorKind::Client,
        message: shortened(reason, MAX_ERROR_BYTES),
        at: now,
    });
    item.checksum = None;
    item.disposition = None;
    item.content = None;
    item.extract = None;
    item.etag = None;
    item.last_modified = None;
    item.orphan = None;
    Finished::Deleted { item, was_indexed }
}

fn unchanged(mut item: Item, how: &Settling<'_>) -> Finished {
    stamp(&mut item, ItemState::Unchanged, how.version, how.now);
    Finished::Unchanged(item)
}

/// The fields of [`Outcome::Applied`].
struct Answer<'a> {
    checksum: &'a Option<Checksum>,
    disposition: &'a Disposition,
    content: &'a Option<ArchiveKey>,
    extract: &'a Option<ArchiveKey>,
    etag: &'a Option<String>,
    last_modified: &'a Option<String>,
}

impl Answer<'_> {
    fn equals(&self, item: &Item) -> bool {
        let complete = *self.disposition != Disposition::Indexed || item.extract.is_some();
        complete && item.checksum == *self.checksum && item.disposition.as_ref() == Some(self.disposition)
    }
}

fn applied(mut item: Item, answer: &Answer<'_>, how: &Settling<'_>) -> Finished {
    if answer.equals(&item) {
        keep_validators(&mut item, answer.etag.as_ref(), answer.last_modified.as_ref());
        return unchanged(item, how);
    }
    let was_indexed = item.disposition == Some(Disposition::Indexed);
    stamp(&mut item, ItemState::Success, how.version, how.now);
    item.checksum = *answer.checksum;
    item.disposition = Some(answer.disposition.clone());
    item.content.clone_from(answer.content);
    item.extract.clone_from(answer.extract);
    item.etag.clone_from(answer.etag);
    item.last_modified.clone_from(answer.last_modified);
    Finished::Applied { item, was_indexed }
}

/// A processed item: the version of the write, and no failure any more.
fn stamp(item: &mut Item, state: ItemState, version: Version, now: Timestamp) {
    item.state = state;
    item.unread = item.unread.filter(|unread| *unread > version);
    item.version = version;
    item.last_updated = Some(now);
    item.consecutive_failures = 0;
    item.last_error = None;
}

fn keep_validators(item: &mut Item, etag: Option<&String>, last_modified: Option<&String>) {
    if etag.is_some() {
        item.etag = etag.cloned();
    }
    if last_modified.is_some() {
        item.last_modified = last_modified.cloned();
    }
}

/// The text up to so many bytes, cut between two characters.
pub(super) fn shortened(text: &str, bytes: usize) -> String {
    text[..text.floor_char_boundary(bytes)].to_owned()
}
