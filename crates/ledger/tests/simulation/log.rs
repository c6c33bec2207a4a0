//! The log as everybody in a run sees it: partitions, groups with sessions, and a network that loses things.
//!
//! The embedded log works on threads, which no seed can order; this one keeps its semantics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use model::Timestamp;
use updates::{
    Assignment, Consumer, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription, Topic,
    Watermarks, partition_of,
};

use crate::world::{Fate, World};

/// A member that does not poll for so long has left its group.
const SESSION: Duration = Duration::from_secs(10);

#[derive(Clone)]
pub(crate) struct SimLog {
    world: Arc<World>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, (Topic, Vec<Log>)>,
    groups: BTreeMap<String, Group>,
    joined: u64,
}

#[derive(Default)]
struct Log {
    records: BTreeMap<u64, Record>,
    high: u64,
}

#[derive(Default)]
struct Group {
    generation: u64,
    members: BTreeMap<u64, Membership>,
    offsets: BTreeMap<Partition, u64>,
}

struct Membership {
    wants: Subscription,
    until: u64,
}

impl SimLog {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self {
            world,
            state: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn pass<T>(
        &self,
        name: impl FnOnce() -> String,
        call: impl FnOnce(&mut State) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let fate = self.world.step(name).await;
        if fate == Fate::FailsBefore {
            return Err(fault());
        }
        let answer = call(&mut self.state());
        if fate == Fate::FailsAfter {
            Err(fault())
        } else {
            answer
        }
    }

    /// Whether this record is one that is only a hint, and gets lost.
    fn vanishes(&self, topic: &str) -> bool {
        let is_hint = topic.ends_with(".crawl") || topic.ends_with(".receipts");
        let vanish = self.world.chaos().vanish;
        is_hint && self.world.roll(|dice| dice.chance(vanish))
    }

    /// What a topic holds, read past the network.
    pub(crate) fn records(&self, topic: &str) -> Vec<Record> {
        let state = self.state();
        let logs = state.topics.get(topic).map_or(&[][..], |(_, logs)| logs);
        logs.iter()
            .flat_map(|log| log.records.values().cloned())
            .collect()
    }

    /// Whether the group has read and committed everything of the topic.
    pub(crate) fn is_level(&self, group: &str, topic: &str) -> bool {
        let state = self.state();
        let Some((_, logs)) = state.topics.get(topic) else {
            return true;
        };
        let committed = state.committed(group, topic);
        logs.iter().zip(committed).all(|(log, offset)| offset >= log.high)
    }
}

impl State {
    fn topic(&mut self, name: &str) -> Result<&mut Vec<Log>, LogError> {
        let topic = self.topics.get_mut(name);
        topic
            .map(|(_, logs)| logs)
            .ok_or_else(|| LogError::NoTopic(name.to_owned()))
    }

    fn append(
        &mut self,
        topic: &str,
        new: &NewRecord,
        at: Timestamp,
        vanishes: bool,
    ) -> Result<Position, LogError> {
        let logs = self.topic(topic)?;
        let number = partition_of(&new.scope, logs.len() as u32);
        let log = &mut logs[number as usize];
        let partition = Partition {
            topic: topic.to_owned(),
            number,
        };
        let position = Position {
            partition,
            offset: log.high,
        };
        log.high += 1;
        if !vanishes {
            let record = Record {
                position: position.clone(),
                appended_at: at,
                key: new.key.clone(),
                scope: new.scope.clone(),
                value: new.value.clone(),
            };
            log.records.insert(position.offset, record);
        }
        Ok(position)
    }

    fn committed(&self, group: &str, topic: &str) -> Vec<u64> {
        let count = self.topics.get(topic).map_or(0, |(_, logs)| logs.len() as u32);
        let group = self.groups.get(group);
        let offset = |number| {
            let partition = Partition {
                topic: topic.to_owned(),
                number,
            };
            group
                .and_then(|group| group.offsets.get(&partition).copied())
                .unwrap_or(0)
        };
        (0..count).map(offset).collect()
    }

    fn heartbeat(&mut self, group: &str, member: u64, wants: &Subscription, now: u64) -> Assignment {
        let state = self.groups.entry(group.to_owned()).or_default();
        let before = state.members.len();
        state
            .members
            .retain(|id, membership| membership.until > now || *id == member);
        let until = now + SESSION.as_millis() as u64;
        let is_new = state
            .members
            .insert(
                member,
                Membership {
                    wants: wants.clone(),
                    until,
                },
            )
            .is_none();
        if is_new || state.members.len() != before {
            state.generation += 1;
        }
        Assignment {
            generation: state.generation,
            partitions: self.partitions_of(group, member),
        }
    }

    /// Each topic's partitions are dealt in turn to the members that want it.
    fn partitions_of(&self, group: &str, member: u64) -> Vec<Partition> {
        let mut mine = Vec::new();
        let Some(group) = self.groups.get(group) else {
            return mine;
        };
        for (name, (_, logs)) in &self.topics {
            let wanting: Vec<u64> = group
                .members
                .iter()
                .filter(|(_, membership)| membership.wants.includes(name))
                .map(|(id, _)| *id)
                .collect();
            let owned =
                (0..logs.len()).filter(|number| wanting.get(number % wanting.len().max(1)) == Some(&member));
            mine.extend(owned.map(|number| Partition {
                topic: name.clone(),
                number: number as u32,
            }));
        }
        mine
    }
}

fn fault() -> LogError {
    LogError::Store {
        place: "the simulation".into(),
        reason: "the network lost it".into(),
        source: None,
    }
}

#[async_trait]
impl LogStore for SimLog {
    async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        let logs = (0..topic.partitions).map(|_| Log::default()).collect();
        self.state()
            .topics
            .entry(topic.name.clone())
            .or_insert_with(|| (topic.clone(), logs));
        Ok(())
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        let list = |state: &mut State| Ok(state.topics.values().map(|(topic, _)| topic.clone()).collect());
        self.pass(|| "lists topics".into(), list).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let delete = |state: &mut State| {
            state.topics.remove(name);
            Ok(())
        };
        self.pass(|| format!("deletes {name}"), delete).await
    }

    async fn append(&self, topic: &str, records: &[NewRecord]) -> Result<Vec<Position>, LogError> {
        let name = || {
            let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
            format!("appends to {topic}: {}", keys.join(", "))
        };
        let at = self.world.log_clock();
        let append = |state: &mut State| {
            let append = |new| state.append(topic, new, at, self.vanishes(topic));
            records.iter().map(append).collect()
        };
        self.pass(name, append).await
    }

    async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        let read = |state: &mut State| {
            let log = state.topic(&partition.topic)?.get(partition.number as usize);
            let records = log.map(|log| {
                log.records
                    .range(from..)
                    .take(max)
                    .map(|(_, record)| record.clone())
                    .collect()
            });
            Ok(records.unwrap_or_default())
        };
        self.pass(
            || format!("reads {}/{} from {from}", partition.topic, partition.number),
            read,
        )
        .await
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        let marks = |state: &mut State| {
            let mark = |log: &Log| Watermarks {
                low: log.records.keys().next().copied().unwrap_or(log.high),
                high: log.high,
            };
            Ok(state.topic(topic)?.iter().map(mark).collect())
        };
        self.pass(|| format!("asks for the watermarks of {topic}"), marks)
            .await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        let committed = |state: &mut State| Ok(state.committed(group, topic));
        self.pass(|| format!("asks what {group} committed in {topic}"), committed)
            .await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        let members = |state: &mut State| {
            let group = state.groups.get(group);
            Ok(group.map_or_else(Vec::new, |group| {
                group.members.keys().map(u64::to_string).collect()
            }))
        };
        self.pass(|| format!("lists members of {group}"), members).await
    }

    async fn consumer(
        &self,
        group: &str,
        subscription: &Subscription,
    ) -> Result<Box<dyn Consumer>, LogError> {
        let mut state = self.state();
        state.joined += 1;
        Ok(Box::new(Member {
            log: self.clone(),
            group: group.to_owned(),
            id: state.joined,
            wants: subscription.clone(),
            assignment: Assignment::default(),
            positions: BTreeMap::new(),
        }))
    }

    async fn clean_up(&self, _: Timestamp) -> Result<u64, LogError> {
        Ok(0)
    }
}

struct Member {
    log: SimLog,
    group: String,
    id: u64,
    wants: Subscription,
    assignment: Assignment,
    positions: BTreeMap<Partition, u64>,
}

#[async_trait]
impl Consumer for Member {
    async fn poll(&mut self, max: usize, _: Duration) -> Result<Vec<Record>, LogError> {
        let log = self.log.clone();
        let now = log.world.now();
        log.pass(
            || format!("polls as member {}", self.id),
            |state| {
                let assignment = state.heartbeat(&self.group, self.id, &self.wants, now);
                let mut positions = BTreeMap::new();
                for partition in &assignment.partitions {
                    // What others did meanwhile is not done again, nor is their offset moved back.
                    let committed = state.committed(&self.group, &partition.topic);
                    let kept = self.positions.get(partition).copied().unwrap_or(0);
                    let position = kept.max(committed[partition.number as usize]);
                    positions.insert(partition.clone(), position);
                }
                self.assignment = assignment;
                let mut records: Vec<Record> = Vec::new();
                for (partition, position) in &mut positions {
                    let log = &state.topic(&partition.topic)?[partition.number as usize];
                    let room = max - records.len();
                    records.extend(
                        log.records
                            .range(*position..)
                            .take(room)
                            .map(|(_, record)| record.clone()),
                    );
                    if let Some(last) = records
                        .last()
                        .filter(|last| last.position.partition == *partition)
                    {
                        *position = last.position.offset + 1;
                    }
                }
                self.positions = positions;
                Ok(records)
            },
        )
        .await
    }

    fn assignment(&self) -> &Assignment {
        &self.assignment
    }

    async fn commit(&mut self, partition: &Partition, next_offset: u64) -> Result<(), LogError> {
        let log = self.log.clone();
        let name = || {
            format!(
                "commits {}/{} at {next_offset}",
                partition.topic, partition.number
            )
        };
        log.pass(name, |state| {
            if !state.partitions_of(&self.group, self.id).contains(partition) {
                // If it comes back, the group's offset counts.
                self.positions.remove(partition);
                return Err(LogError::NotAssigned(partition.clone()));
            }
            let group = state.groups.entry(self.group.clone()).or_default();
            group.offsets.insert(partition.clone(), next_offset);
            Ok(())
        })
        .await
    }

    async fn seek(&mut self, partition: &Partition, offset: u64) -> Result<(), LogError> {
        self.positions.insert(partition.clone(), offset);
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut state = self.log.state();
        if let Some(group) = state.groups.get_mut(&self.group)
            && group.members.remove(&self.id).is_some()
        {
            group.generation += 1;
        }
    }
}
