use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use model::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::{Beat, Engine, LogOptions};
use crate::port::{
    Assignment, Consumer, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription, Topic,
    Watermarks,
};

/// The embedded log: an engine, the wake-up of waiting polls, and the time.
pub(crate) struct Embedded<E> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    engine: E,
    options: LogOptions,
    /// Sent to after every append, so that waiting polls of this process look again.
    appended: watch::Sender<()>,
    joined: AtomicU64,
}

impl<E: Engine> Embedded<E> {
    pub(crate) fn new(engine: E, options: LogOptions) -> Self {
        let shared = Shared {
            engine,
            options,
            appended: watch::Sender::new(()),
            joined: AtomicU64::new(0),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared<E>) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        run(&self.shared, work).await
    }
}

/// Engines block on the disk, so they work on the threads for that.
async fn run<E: Engine, T: Send + 'static>(
    shared: &Arc<Shared<E>>,
    work: impl FnOnce(&Shared<E>) -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&shared)).await;
    done.unwrap_or_else(|error| {
        Err(LogError::Store {
            place: "this process".into(),
            reason: "a call did not end; the service is stopping or met a bug".into(),
            source: Some(error.into()),
        })
    })
}

impl<E> Shared<E> {
    fn now(&self) -> Timestamp {
        (self.options.clock)()
    }

    /// A name that no other member has: the process, when it joined, and a count.
    fn new_member(&self) -> String {
        let count = self.joined.fetch_add(1, Ordering::Relaxed);
        let handle = std::ptr::from_ref(self).addr();
        format!(
            "{}-{}-{handle:x}-{count}",
            std::process::id(),
            self.now().as_millis()
        )
    }
}

#[async_trait]
impl<E: Engine> LogStore for Embedded<E> {
    async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        let topic = topic.clone();
        self.run(move |shared| shared.engine.ensure_topic(&topic)).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.run(|shared| shared.engine.topics()).await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        let name = name.to_owned();
        self.run(move |shared| shared.engine.delete_topic(&name)).await
    }

    async fn append(&self, topic: &str, records: &[NewRecord]) -> Result<Vec<Position>, LogError> {
        let (topic, records) = (topic.to_owned(), records.to_vec());
        let positions = self
            .run(move |shared| shared.engine.append(&topic, &records, shared.now()))
            .await?;
        self.shared.appended.send_replace(());
        Ok(positions)
    }

    async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        let partition = partition.clone();
        self.run(move |shared| shared.engine.read(&partition, from, max))
            .await
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        let topic = topic.to_owned();
        self.run(move |shared| shared.engine.watermarks(&topic)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        self.run(move |shared| shared.engine.committed(&group, &topic))
            .await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        let group = group.to_owned();
        self.run(move |shared| shared.engine.members(&group, shared.now()))
            .await
    }

    async fn consumer(
        &self,
        group: &str,
        subscription: &Subscription,
    ) -> Result<Box<dyn Consumer>, LogError> {
        let mut member = Member {
            shared: Arc::clone(&self.shared),
            group: group.to_owned(),
            id: self.shared.new_member(),
            subscription: subscription.clone(),
            place: Place::default(),
            appended: self.shared.appended.subscribe(),
        };
        member.look(0).await?;
        Ok(Box::new(member))
    }

    async fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        self.run(move |shared| shared.engine.clean_up(now)).await
    }
}

/// One member of a group of the embedded log.
struct Member<E: Engine> {
    shared: Arc<Shared<E>>,
    group: String,
    id: String,
    subscription: Subscription,
    place: Place,
    appended: watch::Receiver<()>,
}

/// Where a member stands. It travels to the blocking thread and back, so a poll that is dropped half way must not
/// take it along: each look works on a copy.
#[derive(Clone, Debug, Default)]
struct Place {
    assignment: Assignment,
    positions: BTreeMap<Partition, u64>,
    /// Which partition is read first, so that a busy one does not starve the others.
    first: usize,
    beat_at: Option<Timestamp>,
    /// The engine's layout at the last heartbeat.
    layout: u64,
    /// The engine's stamp when the last look found nothing.
    idle_at: Option<u64>,
}

impl<E: Engine> Member<E> {
    async fn look(&mut self, max: usize) -> Result<Vec<Record>, LogError> {
        let (group, id, subscription) = (self.group.clone(), self.id.clone(), self.subscription.clone());
        let mut place = self.place.clone();
        let looked = run(&self.shared, move |shared| {
            let beat = |now: Timestamp| Beat {
                group: &group,
                member: &id,
                subscription: &subscription,
                now,
                expires_at: now.after(shared.options.session),
            };
            let records = place.look(shared, &beat, max)?;
            Ok((place, records))
        });
        let (place, records) = looked.await?;
        self.place = place;
        Ok(records)
    }
}

impl Place {
    fn look<'a, E: Engine>(
        &mut self,
        shared: &Shared<E>,
        beat: &impl Fn(Timestamp) -> Beat<'a>,
        max: usize,
    ) -> Result<Vec<Record>, LogError> {
        let now = shared.now();
        let beat_due = self
            .beat_at
            .is_none_or(|at| now.since(at) >= shared.options.session / 3 || now < at);
        if !beat_due && self.idle_at == Some(shared.engine.stamp()?) {
            return Ok(Vec::new());
        }
        // The layout and the stamp are read before what they vouch for: what comes in between is seen next time.
        let layout = shared.engine.layout()?;
        if beat_due || self.layout != layout {
            let beat = beat(now);
            self.take(shared.engine.heartbeat(&beat)?, &shared.engine, beat.group)?;
            (self.beat_at, self.layout) = (Some(now), layout);
        }
        let stamp = shared.engine.stamp()?;
        let records = self.fetch(&shared.engine, max)?;
        self.idle_at = (records.is_empty() && max > 0).then_some(stamp);
        Ok(records)
    }

    /// Partitions that stay keep their position, unless the group came further while this member was taken for dead; new
    /// ones begin where the group committed.
    fn take<E: Engine>(&mut self, assignment: Assignment, engine: &E, group: &str) -> Result<(), LogError> {
        if assignment == self.assignment {
            return Ok(());
        }
        let mut positions = BTreeMap::new();
        for partition in &assignment.partitions {
            let committed = committed(engine, group, partition)?;
            let position = self.positions.get(partition).copied().unwrap_or_default();
            positions.insert(partition.clone(), position.max(committed));
        }
        self.assignment = assignment;
        self.positions = positions;
        Ok(())
    }

    /// The partition went to another member. If it comes back, the next poll begins where the group committed.
    fn forget(&mut self, partition: &Partition) {
        self.positions.remove(partition);
        self.assignment = Assignment::default();
        self.beat_at = None;
    }

    fn fetch<E: Engine>(&mut self, engine: &E, max: usize) -> Result<Vec<Record>, LogError> {
        let mut records = Vec::new();
        let owned = self.assignment.partitions.len();
        for turn in 0..owned {
            if records.len() >= max {
                break;
            }
            let partition = &self.assignment.partitions[(self.first + turn) % owned];
            let from = self.positions.get(partition).copied().unwrap_or(0);
            let found = match engine.read(partition, from, max - records.len()) {
                // Deleted a moment ago: the next look gets an assignment without it.
                Err(LogError::NoTopic(_)) => continue,
                found => found?,
            };
            if let Some(last) = found.last() {
                self.positions.insert(partition.clone(), last.position.offset + 1);
            }
            records.extend(found);
        }
        self.first = if owned == 0 { 0 } else { (self.first + 1) % owned };
        Ok(records)
    }
}

fn committed<E: Engine>(engine: &E, group: &str, partition: &Partition) -> Result<u64, LogError> {
    let offsets = engine.committed(group, &partition.topic)?;
    Ok(offsets.get(partition.number as usize).copied().unwrap_or(0))
}

#[async_trait]
impl<E: Engine> Consumer for Member<E> {
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            self.appended.borrow_and_update();
            let records = self.look(max).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !records.is_empty() || left.is_zero() {
                return Ok(records);
            }
            let pause = left.min(self.shared.options.recheck);
            // Both ends of the wait mean the same: look again.
            let _ = tokio::time::timeout(pause, self.appended.changed()).await;
        }
    }

    fn assignment(&self) -> &Assignment {
        &self.place.assignment
    }

    async fn commit(&mut self, partition: &Partition, next_offset: u64) -> Result<(), LogError> {
        let (group, id, partition) = (self.group.clone(), self.id.clone(), partition.clone());
        let taken = run(&self.shared, move |shared| {
            shared.engine.commit(&group, &id, &partition, next_offset)
        })
        .await;
        if let Err(LogError::NotAssigned(partition)) = &taken {
            self.place.forget(partition);
        }
        taken
    }

    async fn seek(&mut self, partition: &Partition, offset: u64) -> Result<(), LogError> {
        let Some(position) = self.place.positions.get_mut(partition) else {
            return Err(LogError::NotAssigned(partition.clone()));
        };
        *position = offset;
        self.place.idle_at = None;
        Ok(())
    }
}

impl<E: Engine> Drop for Member<E> {
    fn drop(&mut self) {
        let (shared, group, id) = (Arc::clone(&self.shared), self.group.clone(), self.id.clone());
        let leave = move || {
            if let Err(error) = shared.engine.leave(&group, &id) {
                tracing::warn!(%error, group, member = id, "a member could not leave its group; its lease will expire");
            }
            shared.appended.send_replace(());
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(leave)),
            Err(_) => leave(),
        }
    }
}
