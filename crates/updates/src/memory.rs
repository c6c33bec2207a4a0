use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use model::Timestamp;

use crate::engine::{Beat, Engine};
use crate::groups::{self, Members};
use crate::place::partition_of;
use crate::port::{Assignment, LogError, NewRecord, Partition, Position, Record, Topic, Watermarks};

/// Everything in ordered maps, gone with the process.
#[derive(Debug, Default)]
pub(crate) struct MemoryEngine {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<String, TopicState>,
    groups: BTreeMap<String, Group>,
    writes: u64,
    layout: u64,
}

#[derive(Debug)]
struct TopicState {
    topic: Topic,
    partitions: Vec<Log>,
}

#[derive(Debug, Default)]
struct Log {
    records: BTreeMap<u64, Record>,
    low: u64,
    high: u64,
}

#[derive(Debug, Default)]
struct Group {
    generation: u64,
    fingerprint: String,
    members: Members,
    expiries: BTreeMap<String, Timestamp>,
    offsets: BTreeMap<Partition, u64>,
}

impl MemoryEngine {
    /// Each change leaves the maps whole, so they may be used even after a panic elsewhere.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn topic(&self, name: &str) -> Result<&TopicState, LogError> {
        self.topics
            .get(name)
            .ok_or_else(|| LogError::NoTopic(name.to_owned()))
    }

    fn topics(&self) -> Vec<Topic> {
        self.topics.values().map(|state| state.topic.clone()).collect()
    }

    fn change_layout(&mut self) {
        self.writes += 1;
        self.layout += 1;
    }
}

impl Log {
    fn append(&mut self, partition: Partition, record: &NewRecord, now: Timestamp) -> Position {
        let position = Position {
            partition,
            offset: self.high,
        };
        let record = Record {
            position: position.clone(),
            appended_at: now,
            key: record.key.clone(),
            scope: record.scope.clone(),
            value: record.value.clone(),
        };
        self.records.insert(self.high, record);
        self.high += 1;
        position
    }

    fn drop_before(&mut self, cutoff: Timestamp) -> u64 {
        let live = self.records.values().find(|record| record.appended_at > cutoff);
        self.low = live.map_or(self.high, |record| record.position.offset);
        let kept = self.records.split_off(&self.low);
        std::mem::replace(&mut self.records, kept).len() as u64
    }

    fn compact(&mut self, tombstones_until: Timestamp) -> u64 {
        let before = self.records.len();
        let newest: BTreeMap<String, u64> = self
            .records
            .values()
            .map(|record| (record.key.clone(), record.position.offset))
            .collect();
        self.records.retain(|offset, record| {
            let spent = record.value.is_none() && record.appended_at <= tombstones_until;
            newest.get(&record.key) == Some(offset) && !spent
        });
        (before - self.records.len()) as u64
    }
}

impl Group {
    fn expire(&mut self, now: Timestamp) {
        self.expiries.retain(|_, until| *until > now);
        self.members
            .retain(|member, _| self.expiries.contains_key(member));
    }
}

impl Engine for MemoryEngine {
    fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        let mut state = self.state();
        if let Some(existing) = state.topics.get(&topic.name) {
            return topic.check_same(&existing.topic);
        }
        let partitions = (0..topic.partitions).map(|_| Log::default()).collect();
        state.topics.insert(
            topic.name.clone(),
            TopicState {
                topic: topic.clone(),
                partitions,
            },
        );
        state.change_layout();
        Ok(())
    }

    fn topics(&self) -> Result<Vec<Topic>, LogError> {
        Ok(self.state().topics())
    }

    fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let mut state = self.state();
        state.topics.remove(name);
        for group in state.groups.values_mut() {
            group.offsets.retain(|partition, _| partition.topic != name);
        }
        state.change_layout();
        Ok(())
    }

    fn append(&self, topic: &str, records: &[NewRecord], now: Timestamp) -> Result<Vec<Position>, LogError> {
        let mut state = self.state();
        let missing = || LogError::NoTopic(topic.to_owned());
        let logs = &mut state.topics.get_mut(topic).ok_or_else(missing)?.partitions;
        let count = logs.len() as u32;
        let mut append = |record: &NewRecord| {
            let number = partition_of(&record.scope, count);
            logs[number as usize].append(
                Partition {
                    topic: topic.to_owned(),
                    number,
                },
                record,
                now,
            )
        };
        let positions = records.iter().map(&mut append).collect();
        state.writes += 1;
        Ok(positions)
    }

    fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        let state = self.state();
        let log = state
            .topic(&partition.topic)?
            .partitions
            .get(partition.number as usize);
        Ok(log.map_or_else(Vec::new, |log| {
            log.records
                .range(from..)
                .take(max)
                .map(|(_, r)| r.clone())
                .collect()
        }))
    }

    fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        let state = self.state();
        Ok(state
            .topic(topic)?
            .partitions
            .iter()
            .map(|log| Watermarks {
                low: log.low,
                high: log.high,
            })
            .collect())
    }

    fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        let mut state = self.state();
        let mut gone = 0;
        for TopicState { topic, partitions } in state.topics.values_mut() {
            for log in partitions {
                gone += topic
                    .cleanup
                    .retention()
                    .map_or(0, |age| log.drop_before(now.before(age)));
                gone += topic
                    .cleanup
                    .tombstones()
                    .map_or(0, |age| log.compact(now.before(age)));
            }
        }
        Ok(gone)
    }

    fn layout(&self) -> Result<u64, LogError> {
        Ok(self.state().layout)
    }

    fn stamp(&self) -> Result<u64, LogError> {
        Ok(self.state().writes)
    }

    fn heartbeat(&self, beat: &Beat<'_>) -> Result<Assignment, LogError> {
        let mut state = self.state();
        let topics = state.topics();
        let group = state.groups.entry(beat.group.to_owned()).or_default();
        group.expire(beat.now);
        group
            .members
            .insert(beat.member.to_owned(), beat.subscription.clone());
        group.expiries.insert(beat.member.to_owned(), beat.expires_at);
        let fingerprint = groups::fingerprint(&group.members, &topics);
        let rebalanced = group.fingerprint != fingerprint;
        if rebalanced {
            group.generation += 1;
            group.fingerprint = fingerprint;
        }
        let partitions = groups::partitions_of(beat.member, &group.members, &topics);
        let assignment = Assignment {
            generation: group.generation,
            partitions,
        };
        if rebalanced {
            state.change_layout();
        }
        Ok(assignment)
    }

    fn leave(&self, group: &str, member: &str) -> Result<(), LogError> {
        let mut state = self.state();
        if let Some(group) = state.groups.get_mut(group) {
            group.members.remove(member);
            group.expiries.remove(member);
        }
        state.change_layout();
        Ok(())
    }

    fn members(&self, group: &str, now: Timestamp) -> Result<Vec<String>, LogError> {
        let mut state = self.state();
        let Some(group) = state.groups.get_mut(group) else {
            return Ok(Vec::new());
        };
        group.expire(now);
        Ok(group.members.keys().cloned().collect())
    }

    fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        let state = self.state();
        let partitions = state.topic(topic)?.topic.partitions;
        let offsets = state.groups.get(group).map(|group| &group.offsets);
        let offset = |number| {
            offsets?
                .get(&Partition {
                    topic: topic.to_owned(),
                    number,
                })
                .copied()
        };
        Ok((0..partitions)
            .map(|number| offset(number).unwrap_or(0))
            .collect())
    }

    fn commit(&self, group: &str, member: &str, partition: &Partition, next: u64) -> Result<(), LogError> {
        let mut state = self.state();
        let topics = state.topics();
        let group = state.groups.entry(group.to_owned()).or_default();
        if !groups::partitions_of(member, &group.members, &topics).contains(partition) {
            return Err(LogError::NotAssigned(partition.clone()));
        }
        group.offsets.insert(partition.clone(), next);
        Ok(())
    }
}
