//! What the source itself tells: a live write wins over everything that is older, whoever arrives first.

use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp, Version};

use super::settling::{Settling, settle};
use super::{Finished, Outcome, version_by};
use crate::records::{Item, ItemState, RetryPolicy, Revision, Scope};

/// An update that the source told of, and what came of reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveWrite {
    /// The item.
    pub id: ItemId,
    /// Where it is.
    pub url: PageUrl,
    /// The scope that it belongs to.
    pub scope: Scope,
    /// The version of the update.
    pub version: Version,
    /// What came of it. [`Outcome::Released`] changes nothing. [`Outcome::Unchanged`] is only for who knows that nobody
    /// else wrote since the item was read; everybody else says what it read, and it is found equal.
    pub outcome: Outcome,
}

/// When and how a live write is decided.
#[derive(Clone, Copy, Debug)]
pub struct LiveTerms<'a> {
    /// The source.
    pub source: &'a SourceId,
    /// Its configuration.
    pub configuration: u64,
    /// The crawls that run: an item that failed stays theirs, else it is tried again without one.
    pub running: &'a [CrawlId],
    /// When failed attempts are tried again.
    pub retry: &'a RetryPolicy,
    /// The time of the write.
    pub now: Timestamp,
    /// From 0 to 1: where in the upper half of the wait the retry falls.
    pub jitter: f64,
}

/// What the update makes of the item as stored; stale where it has this version, or a newer one, already.
///
/// It takes the lease from whoever works on the item: what that one brings is older, or compared with what was there
/// before. An item that a running crawl had still to process counts as processed by it; but where that crawl is newer than
/// the update, the update is stale, because the crawl is about to read what is newer.
///
/// An update that could not be read is noted: what is older than it is stale from then on. The same one, read twice,
/// counts once where a person decides already.
pub fn live(stored: Option<&Item>, write: &LiveWrite, terms: &LiveTerms<'_>) -> Finished {
    if stored.is_some_and(|item| is_outdone(item, write)) || write.outcome == Outcome::Released {
        return Finished::Stale(write.id.clone());
    }
    let mut item = stored.cloned().unwrap_or_else(|| first_told(write, terms));
    if must_retry(&write.outcome, &item) {
        let is_known = item.unread >= Some(write.version);
        item.unread = item.unread.max(Some(write.version));
        match item.state {
            // The same record may come twice, and a person decides already.
            ItemState::Escalated if !is_known => return Finished::Escalated(item),
            ItemState::Escalated | ItemState::Ignored => return Finished::Stale(item.id),
            _ => give_to_whoever_retries(&mut item, terms.running),
        }
    }
    item.lease = None;
    item.orphan = None;
    item.configuration = terms.configuration;
    let how = Settling {
        version: write.version,
        retry: terms.retry,
        now: terms.now,
        jitter: terms.jitter,
    };
    settle(item, &write.outcome, &how)
}

/// Whether something newer was written, was told of and will be tried again, or is about to be read by a crawl.
fn is_outdone(item: &Item, write: &LiveWrite) -> bool {
    // Of no crawl, an item belongs to one that starts at zero: nothing is older.
    item.version >= write.version
        || item.unread.is_some_and(|unread| unread > write.version)
        || item.state.is_open() && version_by(&item.crawl) > write.version
}

fn must_retry(outcome: &Outcome, item: &Item) -> bool {
    match outcome {
        Outcome::Failed { .. } => true,
        Outcome::Unchanged { .. } => item.disposition.is_none(),
        _ => false,
    }
}

/// An item that is tried again stays with a running crawl that may still write it; else it is tried without a crawl.
/// Retries are counted anew unless they were being counted there.
pub(super) fn give_to_whoever_retries(item: &mut Item, running: &[CrawlId]) {
    let live = CrawlId::live(&item.source);
    let stays =
        item.crawl == live || running.contains(&item.crawl) && item.version <= version_by(&item.crawl);
    if !(stays && item.state.is_open()) {
        item.retry_count = 0;
    }
    if !stays {
        item.crawl = live;
    }
}

fn first_told(write: &LiveWrite, terms: &LiveTerms<'_>) -> Item {
    Item {
        source: terms.source.clone(),
        id: write.id.clone(),
        url: write.url.clone(),
        scope: write.scope.clone(),
        state: ItemState::Pending,
        version: Version::NONE,
        revision: Revision::NEW,
        crawl: CrawlId::live(terms.source),
        configuration: terms.configuration,
        seen_crawl_at: Timestamp::default(),
        first_seen_at: terms.now,
        last_updated: None,
        next_attempt_at: terms.now,
        lease: None,
        epoch: 0,
        retry_count: 0,
        consecutive_failures: 0,
        last_error: None,
        checksum: None,
        disposition: None,
        content: None,
        extract: None,
        etag: None,
        last_modified: None,
        parent: None,
        depth: 0,
        aliases: Vec::new(),
        orphan: None,
        ruling: None,
        unread: None,
    }
}
