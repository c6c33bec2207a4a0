use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::Timestamp;
use serde::{Deserialize, Serialize};

/// What happens to old records of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// Old records go.
    Delete {
        /// Records of this age or older go.
        retention: Duration,
    },
    /// Of each key the newest record stays.
    Compact {
        /// A tombstone stays for so long, so that slow readers meet it.
        tombstones: Duration,
    },
    /// Both.
    CompactDelete {
        /// As in [`Cleanup::Delete`].
        retention: Duration,
        /// As in [`Cleanup::Compact`].
        tombstones: Duration,
    },
}

impl Cleanup {
    /// The age at which records go, where age matters.
    pub fn retention(self) -> Option<Duration> {
        match self {
            Self::Delete { retention } | Self::CompactDelete { retention, .. } => Some(retention),
            Self::Compact { .. } => None,
        }
    }

    /// The age at which tombstones go, where the topic is compacted.
    pub fn tombstones(self) -> Option<Duration> {
        match self {
            Self::Compact { tombstones } | Self::CompactDelete { tombstones, .. } => Some(tombstones),
            Self::Delete { .. } => None,
        }
    }
}

impl fmt::Display for Cleanup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |age: Option<Duration>| age.map(|age| age.as_secs());
        match (seconds(self.tombstones()), seconds(self.retention())) {
            (Some(tombstones), Some(age)) => {
                write!(f, "compaction (tombstones {tombstones} s), retention {age} s")
            }
            (Some(tombstones), None) => write!(f, "compaction (tombstones {tombstones} s)"),
            (None, age) => write!(f, "retention {} s", age.unwrap_or(0)),
        }
    }
}

/// The configuration of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// `control` or `<source>.<live|crawl|applied|receipts|escalated>`; at most 249 of `a-z 0-9 . _ -` (Kafka's rule).
    pub name: String,
    /// How many partitions; fixed for the life of the topic, because it decides where a key lies.
    pub partitions: u32,
    /// What happens to old records.
    pub cleanup: Cleanup,
}

impl Topic {
    /// Refuses to take `existing` for this topic where it is configured differently.
    pub(crate) fn check_same(&self, existing: &Self) -> Result<(), LogError> {
        if self == existing {
            return Ok(());
        }
        Err(LogError::TopicMismatch {
            name: self.name.clone(),
            existing: existing.configuration(),
            wanted: self.configuration(),
        })
    }

    fn configuration(&self) -> String {
        format!("{} partitions, {}", self.partitions, self.cleanup)
    }
}

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic's name.
    pub topic: String,
    /// From 0.
    pub number: u32,
}

/// Where a record lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The partition.
    pub partition: Partition,
    /// The record's offset in it; grows, with gaps after compaction.
    pub offset: u64,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// What the record is about: the item id in every topic of a source. Compaction keeps the newest per key.
    pub key: String,
    /// What decides the partition: the item's scope, which is the host for web items.
    pub scope: String,
    /// At most [`MAX_VALUE_BYTES`](crate::MAX_VALUE_BYTES); `None` is a tombstone.
    pub value: Option<Bytes>,
}

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Where it lies.
    pub position: Position,
    /// When the log took it.
    pub appended_at: Timestamp,
    /// As in [`NewRecord`].
    pub key: String,
    /// As in [`NewRecord`].
    pub scope: String,
    /// As in [`NewRecord`].
    pub value: Option<Bytes>,
}

/// The offsets that a partition holds: `low..high`; `high` is the offset of the next record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that may still be read.
    pub low: u64,
    /// The offset that the next record will get.
    pub high: u64,
}

/// Which topics a group reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subscription {
    /// These topics.
    Topics(Vec<String>),
    /// Every topic, present or future, whose name ends with one of these, such as `.applied`.
    Suffixes(Vec<String>),
}

impl Subscription {
    /// Whether a topic of this name is read.
    pub fn includes(&self, topic: &str) -> bool {
        match self {
            Self::Topics(names) => names.iter().any(|name| name == topic),
            Self::Suffixes(suffixes) => suffixes.iter().any(|suffix| topic.ends_with(suffix.as_str())),
        }
    }
}

/// The partitions that a member of a group owns now.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Assignment {
    /// Grows with every rebalance of the group.
    pub generation: u64,
    /// In order.
    pub partitions: Vec<Partition>,
}

/// Why the log did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The topic does not exist.
    #[error("topic {0:?} does not exist; create it with ensure_topic first")]
    NoTopic(String),
    /// The topic exists with another configuration.
    #[error("topic {name:?} exists with {existing}, wanted is {wanted}")]
    TopicMismatch {
        /// The topic's name.
        name: String,
        /// What it is.
        existing: String,
        /// What was asked for.
        wanted: String,
    },
    /// The topic name, key or value breaks a limit.
    #[error("{0}")]
    Invalid(String),
    /// The member lost this partition in a rebalance; what it committed was not taken.
    #[error("partition {}/{} now belongs to another member of the group", .0.topic, .0.number)]
    NotAssigned(Partition),
    /// The store could not be read or written; says what and what to do.
    #[error("the update log at {place}: {reason}")]
    Store {
        /// The file or server.
        place: String,
        /// What went wrong and what to do.
        reason: String,
        /// The cause.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

/// What an engine implements: a partitioned, ordered, durable log. Users call the [`UpdateLog`](crate::UpdateLog).
///
/// The contract, which the conformance suite in [`testkit`](crate::testkit) checks on every engine:
/// records of one partition keep their order; one scope always lies in one partition of a topic; an append is all
/// or nothing per partition and is durable against the death of the process when it returns.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Creates the topic, or checks that the existing one is configured the same.
    async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError>;

    /// All topics by name.
    async fn topics(&self) -> Result<Vec<Topic>, LogError>;

    /// Deletes a topic, its records and the offsets of all groups in it; nothing where there is none.
    async fn delete_topic(&self, name: &str) -> Result<(), LogError>;

    /// Appends the records in order and says where each lies.
    async fn append(&self, topic: &str, records: &[NewRecord]) -> Result<Vec<Position>, LogError>;

    /// At most `max` records of a partition from offset `from`, without a group.
    async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError>;

    /// What each partition of the topic holds, by number.
    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError>;

    /// The offsets that the group committed, per partition of the topic; 0 where it did not yet.
    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError>;

    /// Members of the group that are alive, by id.
    async fn members(&self, group: &str) -> Result<Vec<String>, LogError>;

    /// Joins a group.
    async fn consumer(&self, group: &str, subscription: &Subscription)
    -> Result<Box<dyn Consumer>, LogError>;

    /// Does the clean-up of every topic now and says how many records went.
    async fn clean_up(&self, now: Timestamp) -> Result<u64, LogError>;
}

/// One member of a consumer group. Dropping it leaves the group.
#[async_trait]
pub trait Consumer: Send {
    /// Records of the assigned partitions from the current position on, at most `max`; waits up to `wait` for the
    /// first. Keeps the membership alive, also with a `max` of 0: call it at least every 10 seconds. A new member starts
    /// where the group committed, or at the beginning.
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError>;

    /// What this member owns since its last `poll`.
    fn assignment(&self) -> &Assignment;

    /// Everything before `next_offset` is done and will not be asked for again by this group.
    async fn commit(&mut self, partition: &Partition, next_offset: u64) -> Result<(), LogError>;

    /// The next poll reads this partition from `offset` on.
    async fn seek(&mut self, partition: &Partition, offset: u64) -> Result<(), LogError>;
}
