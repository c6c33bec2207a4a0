use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use model::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::embedded::Embedded;
use crate::engine::LogOptions;
use crate::limits;
use crate::memory::MemoryEngine;
use crate::port::{
    Assignment, Consumer, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription, Topic,
    Watermarks,
};
use crate::sqlite::SqliteEngine;

/// The update log. Cheap to clone; all clones work on the same log.
#[derive(Clone)]
pub struct UpdateLog {
    store: Arc<dyn LogStore>,
}

/// A record to append, with a value that becomes JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    /// What the record is about; at most [`MAX_KEY_BYTES`](crate::MAX_KEY_BYTES).
    pub key: String,
    /// What decides the partition.
    pub scope: String,
    /// None is a tombstone.
    pub value: Option<T>,
}

impl UpdateLog {
    /// Opens the log in this SQLite file, and creates it (with its folder) where it does not exist. Many processes
    /// may have it open.
    pub fn open(path: &Path) -> Result<Self, LogError> {
        Self::open_with(path, LogOptions::default())
    }

    /// As [`open`](Self::open), for the one process that uses the file, which the caller makes sure of: members that
    /// a killed process left behind are removed at once, instead of after their session.
    pub fn open_alone(path: &Path) -> Result<Self, LogError> {
        let engine = SqliteEngine::open(path)?;
        engine.forget_members()?;
        Ok(Self::new(Arc::new(Embedded::new(engine, LogOptions::default()))))
    }

    /// As [`open`](Self::open), with other options.
    pub fn open_with(path: &Path, options: LogOptions) -> Result<Self, LogError> {
        Ok(Self::new(Arc::new(Embedded::new(
            SqliteEngine::open(path)?,
            options,
        ))))
    }

    /// A log that lives as long as the handle.
    pub fn memory() -> Self {
        Self::memory_with(LogOptions::default())
    }

    /// As [`memory`](Self::memory), with other options.
    pub fn memory_with(options: LogOptions) -> Self {
        Self::new(Arc::new(Embedded::new(MemoryEngine::default(), options)))
    }

    /// A log on any engine.
    pub fn new(store: Arc<dyn LogStore>) -> Self {
        Self { store }
    }

    /// Creates the topic, or checks that the existing one is configured the same.
    pub async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        limits::check_topic(topic)?;
        self.store.ensure_topic(topic).await
    }

    /// All topics by name.
    pub async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.store.topics().await
    }

    /// Deletes a topic, its records and the offsets of all groups in it; nothing where there is none.
    pub async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.store.delete_topic(name).await
    }

    /// Appends the entries in order, all or (per partition) nothing, and says where each lies.
    pub async fn append<T: Serialize>(
        &self,
        topic: &str,
        entries: &[Entry<T>],
    ) -> Result<Vec<Position>, LogError> {
        let records: Vec<NewRecord> = entries.iter().map(encode).collect::<Result<_, _>>()?;
        self.append_records(topic, &records).await
    }

    /// As [`append`](Self::append), with values that are bytes already.
    pub async fn append_records(
        &self,
        topic: &str,
        records: &[NewRecord],
    ) -> Result<Vec<Position>, LogError> {
        limits::check_records(records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.store.append(topic, records).await
    }

    /// At most `max` (and at most [`MAX_BATCH`](crate::MAX_BATCH)) records of a partition from offset `from` on.
    pub async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        self.store.read(partition, from, max.min(limits::MAX_BATCH)).await
    }

    /// What each partition of the topic holds, by number.
    pub async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        self.store.watermarks(topic).await
    }

    /// The offsets that the group committed, per partition of the topic; 0 where it did not yet.
    pub async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        self.store.committed(group, topic).await
    }

    /// Members of the group that are alive, by id.
    pub async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        self.store.members(group).await
    }

    /// Joins a group as a new member.
    pub async fn group(&self, group: &str, subscription: Subscription) -> Result<Group, LogError> {
        limits::check_group(group)?;
        Ok(Group {
            consumer: self.store.consumer(group, &subscription).await?,
        })
    }

    /// Does the clean-up of every topic now and says how many records went. Run it now and then.
    pub async fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        self.store.clean_up(now).await
    }
}

impl std::fmt::Debug for UpdateLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateLog").finish_non_exhaustive()
    }
}

fn encode<T: Serialize>(entry: &Entry<T>) -> Result<NewRecord, LogError> {
    let json = |value| serde_json::to_vec(value).map(Bytes::from);
    let value = entry.value.as_ref().map(json).transpose();
    let value = value
        .map_err(|error| LogError::Invalid(format!("the value of {:?} is no JSON: {error}", entry.key)))?;
    Ok(NewRecord {
        key: entry.key.clone(),
        scope: entry.scope.clone(),
        value,
    })
}

impl Record {
    /// The value from JSON; none for a tombstone.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>, LogError> {
        let decoded = self.value.as_deref().map(serde_json::from_slice).transpose();
        decoded.map_err(|error| {
            let Position { partition, offset } = &self.position;
            let place = format!("{}/{} at offset {offset}", partition.topic, partition.number);
            LogError::Invalid(format!(
                "the record in {place} cannot be read: {error}; skip it or upgrade Haul"
            ))
        })
    }
}

/// A member of a consumer group. Dropping it leaves the group.
pub struct Group {
    consumer: Box<dyn Consumer>,
}

/// What one poll found.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Batch {
    /// The newest record of each key, in the order of the log.
    pub records: Vec<Record>,
    /// Older records of the same keys, which were left out.
    pub superseded: u64,
    /// What to commit per partition once the records are done with.
    pub next: BTreeMap<Partition, u64>,
}

impl Group {
    /// At most `max` (and at most [`MAX_BATCH`](crate::MAX_BATCH)) records, less what newer ones of the batch
    /// supersede; waits up to `wait` for the first. Call it at least every 10 seconds to stay a member.
    pub async fn poll(&mut self, max: usize, wait: Duration) -> Result<Batch, LogError> {
        Ok(newest_per_key(
            self.consumer.poll(max.clamp(1, limits::MAX_BATCH), wait).await?,
        ))
    }

    /// A sign of life while the records of the last poll take long: the member stays one, and reads nothing.
    pub async fn keep_alive(&mut self) -> Result<(), LogError> {
        self.consumer.poll(0, Duration::ZERO).await.map(drop)
    }

    /// What this member owns since its last poll.
    pub fn assignment(&self) -> &Assignment {
        self.consumer.assignment()
    }

    /// Everything of the partition before `next_offset` is done and will not be asked for again by this group.
    pub async fn commit(&mut self, partition: &Partition, next_offset: u64) -> Result<(), LogError> {
        self.consumer.commit(partition, next_offset).await
    }

    /// The whole batch is done. Partitions that went to another member meanwhile are skipped: it reads them again.
    pub async fn commit_batch(&mut self, batch: &Batch) -> Result<(), LogError> {
        for (partition, next) in &batch.next {
            match self.consumer.commit(partition, *next).await {
                Err(LogError::NotAssigned(_)) => {
                    tracing::debug!(?partition, "the partition moved to another member");
                }
                other => other?,
            }
        }
        Ok(())
    }

    /// The next poll reads this partition, which the member must own, from `offset` on.
    pub async fn seek(&mut self, partition: &Partition, offset: u64) -> Result<(), LogError> {
        self.consumer.seek(partition, offset).await
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("assignment", self.assignment())
            .finish_non_exhaustive()
    }
}

/// One key lies in one partition, because its scope does, so offsets say which record is newer.
fn newest_per_key(records: Vec<Record>) -> Batch {
    let mut newest: HashMap<(&Partition, &str), u64> = HashMap::new();
    let mut next = BTreeMap::new();
    for record in &records {
        let Position { partition, offset } = &record.position;
        newest.insert((partition, &record.key), *offset);
        next.insert(partition.clone(), offset + 1);
    }
    let kept: Vec<bool> = records
        .iter()
        .map(|record| {
            newest.get(&(&record.position.partition, record.key.as_str())) == Some(&record.position.offset)
        })
        .collect();
    let superseded = kept.iter().filter(|kept| !**kept).count() as u64;
    let records = records
        .into_iter()
        .zip(kept)
        .filter_map(|(record, kept)| kept.then_some(record))
        .collect();
    Batch {
        records,
        superseded,
        next,
    }
}
