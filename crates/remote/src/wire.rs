//! What travels besides the records themselves: questions, and answers that are no records.
//!
//! Questions refuse members that they do not know. An unknown filter that is passed over would answer more than was
//! asked for, and an orphan scan that finds more deletes more.

use std::fmt;
use std::marker::PhantomData;

use crawldb::{Counts, IndexName, ItemState, Revision, Scope, Written};
use model::{CrawlId, ItemId, PageUrl, SourceId, Timestamp};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::MAX_BATCH;

/// Where all paths begin.
pub(crate) const ROOT: &str = "/api/v1/store";

/// Which items of a crawl may be claimed.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DueQuestion {
    #[schema(value_type = String, example = "docs@1700000000000")]
    pub(crate) crawl: CrawlId,
    /// Only items of this scope.
    pub(crate) scope: Option<Scope>,
    /// Only items that are due at this millisecond since 1970.
    #[schema(value_type = u64)]
    pub(crate) now: Timestamp,
    #[schema(value_type = usize, maximum = 1000)]
    pub(crate) limit: Limit,
}

/// When the next item of a crawl is due.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NextDueQuestion {
    #[schema(value_type = String, example = "docs@1700000000000")]
    pub(crate) crawl: CrawlId,
    /// Only items of this scope.
    pub(crate) scope: Option<Scope>,
}

/// Which items to list.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScanQuestion {
    /// Only items in these states; all where empty.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub(crate) states: Vec<ItemState>,
    /// Only items that this crawl touched last.
    #[schema(value_type = Option<String>)]
    pub(crate) crawl: Option<CrawlId>,
    /// Only items last updated at or after this millisecond since 1970.
    #[schema(value_type = Option<u64>)]
    pub(crate) updated_since: Option<Timestamp>,
    /// Only items that no crawl which started at or after this instant saw, and that were not updated since.
    #[schema(value_type = Option<u64>)]
    pub(crate) missed_by: Option<Timestamp>,
    /// Only items whose lease expired at or before this instant.
    #[schema(value_type = Option<u64>)]
    pub(crate) lease_expired_at: Option<Timestamp>,
    /// Only ids greater than this: where the last page ended.
    #[schema(value_type = Option<String>)]
    pub(crate) after: Option<ItemId>,
    #[schema(value_type = usize, maximum = 1000)]
    pub(crate) limit: Limit,
}

/// Of what to count the items.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CountQuestion {
    /// Only items that this crawl touched last.
    #[schema(value_type = Option<String>)]
    pub(crate) crawl: Option<CrawlId>,
}

/// The scopes of which crawl.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopesQuestion {
    #[schema(value_type = String, example = "docs@1700000000000")]
    pub(crate) crawl: CrawlId,
}

/// Which crawls to list.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CrawlsQuestion {
    /// Only crawls of this source.
    #[schema(value_type = Option<String>)]
    pub(crate) source: Option<SourceId>,
    #[schema(value_type = usize, maximum = 1000)]
    pub(crate) limit: Limit,
}

/// Which documents to list.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DocumentsQuestion {
    /// Only URLs greater than this: where the last page ended.
    #[schema(value_type = Option<String>)]
    pub(crate) after: Option<PageUrl>,
    #[schema(value_type = usize, maximum = 1000)]
    pub(crate) limit: Limit,
}

/// An intent that is over.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IntentOver {
    pub(crate) id: String,
}

/// Which index to put in force.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IndexSwap {
    /// Only if this one is in force.
    #[schema(value_type = String, example = "main")]
    pub(crate) current: IndexName,
    #[schema(value_type = String, example = "next")]
    pub(crate) next: IndexName,
}

/// How many records to answer with at most: up to [`MAX_BATCH`].
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "usize", into = "usize")]
pub(crate) struct Limit(usize);

impl Limit {
    /// The limit, or the largest one where it is beyond it.
    pub(crate) fn clamped(limit: usize) -> Self {
        Self(limit.min(MAX_BATCH))
    }
}

impl TryFrom<usize> for Limit {
    type Error = String;

    fn try_from(limit: usize) -> Result<Self, String> {
        if limit <= MAX_BATCH {
            return Ok(Self(limit));
        }
        Err(format!(
            "limit {limit} is too large: ask for at most {MAX_BATCH} at a time"
        ))
    }
}

impl From<Limit> for usize {
    fn from(limit: Limit) -> Self {
        limit.0
    }
}

/// Up to [`MAX_BATCH`] of something; more are refused before they are read.
pub(crate) struct Batch<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Batch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(BatchVisitor(PhantomData))
    }
}

struct BatchVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BatchVisitor<T> {
    type Value = Batch<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_BATCH}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Batch<T>, A::Error> {
        let mut batch = Vec::new();
        while let Some(one) = list.next_element()? {
            if batch.len() == MAX_BATCH {
                let advice = format!("more than {MAX_BATCH} in one request; send the rest in another one");
                return Err(A::Error::custom(advice));
            }
            batch.push(one);
        }
        Ok(Batch(batch))
    }
}

/// What became of one compare-and-swap.
#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// Taken; the record now has this revision.
    #[schema(value_type = u64)]
    Done(Revision),
    /// Not taken: the store holds this revision, 0 where it holds none.
    #[schema(value_type = u64)]
    Conflict(Revision),
}

impl From<Written> for Verdict {
    fn from(written: Written) -> Self {
        match written {
            Written::Done(revision) => Self::Done(revision),
            Written::Conflict(revision) => Self::Conflict(revision),
        }
    }
}

impl From<Verdict> for Written {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Done(revision) => Self::Done(revision),
            Verdict::Conflict(revision) => Self::Conflict(revision),
        }
    }
}

/// How many items are in one state.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct StateCount {
    #[schema(value_type = String, example = "success")]
    state: ItemState,
    items: u64,
    /// Of these, first seen by the crawl that saw them last.
    new: u64,
}

pub(crate) fn to_state_counts(counts: &Counts) -> Vec<StateCount> {
    let count = |(&state, &(items, new)): (&ItemState, &(u64, u64))| StateCount { state, items, new };
    counts.by_state.iter().map(count).collect()
}

pub(crate) fn from_state_counts(counts: &[StateCount]) -> Counts {
    let by_state = counts.iter().map(|count| (count.state, (count.items, count.new)));
    Counts {
        by_state: by_state.collect(),
    }
}

/// What is in one scope of a crawl.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct ScopeFigures {
    pub(crate) scope: Scope,
    pub(crate) items: u64,
    /// Of these, those that the crawl still has to do something about.
    pub(crate) open: u64,
}
