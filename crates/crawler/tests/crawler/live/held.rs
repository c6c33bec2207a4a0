//! A log whose live group can be held up: before it reads, or before it says that it is done.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ledger::LIVE_GROUP;
use model::Timestamp;
use tokio::sync::watch;
use updates::{
    Assignment, Consumer, Group, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription,
    Topic, UpdateLog, Watermarks,
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Nothing,
    Reads,
    Commits,
}

#[derive(Clone)]
pub(super) struct HeldLog {
    log: UpdateLog,
    hold: Arc<watch::Sender<Hold>>,
    commits: Arc<watch::Sender<u64>>,
}

impl HeldLog {
    pub(super) fn new(log: UpdateLog) -> Self {
        Self {
            log,
            hold: Arc::new(watch::Sender::new(Hold::Nothing)),
            commits: Arc::default(),
        }
    }

    pub(super) fn log(&self) -> UpdateLog {
        UpdateLog::new(Arc::new(self.clone()))
    }

    pub(super) fn hold_reads(&self) {
        self.hold.send_replace(Hold::Reads);
    }

    pub(super) fn hold_commits(&self) {
        self.hold.send_replace(Hold::Commits);
    }

    pub(super) fn let_go(&self) {
        self.hold.send_replace(Hold::Nothing);
    }

    /// Waits until somebody tries to commit.
    pub(super) async fn committing(&self) {
        self.commits
            .subscribe()
            .wait_for(|commits| *commits > 0)
            .await
            .unwrap();
    }
}

#[async_trait]
impl LogStore for HeldLog {
    async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        self.log.ensure_topic(topic).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.log.topics().await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.log.delete_topic(name).await
    }

    async fn append(&self, topic: &str, records: &[NewRecord]) -> Result<Vec<Position>, LogError> {
        self.log.append_records(topic, records).await
    }

    async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        self.log.read(partition, from, max).await
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        self.log.watermarks(topic).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        self.log.committed(group, topic).await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        self.log.members(group).await
    }

    async fn consumer(
        &self,
        group: &str,
        subscription: &Subscription,
    ) -> Result<Box<dyn Consumer>, LogError> {
        Ok(Box::new(HeldConsumer {
            group: self.log.group(group, subscription.clone()).await?,
            is_held: group == LIVE_GROUP,
            hold: self.hold.subscribe(),
            commits: Arc::clone(&self.commits),
        }))
    }

    async fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        self.log.clean_up(now).await
    }
}

struct HeldConsumer {
    group: Group,
    is_held: bool,
    hold: watch::Receiver<Hold>,
    commits: Arc<watch::Sender<u64>>,
}

impl HeldConsumer {
    async fn wait(&mut self, held: Hold) {
        if self.is_held {
            self.hold.wait_for(|hold| *hold != held).await.unwrap();
        }
    }
}

#[async_trait]
impl Consumer for HeldConsumer {
    async fn poll(&mut self, max: usize, wait: Duration) -> Result<Vec<Record>, LogError> {
        self.wait(Hold::Reads).await;
        match max {
            0 => self.group.keep_alive().await.map(|()| Vec::new()),
            _ => Ok(self.group.poll(max, wait).await?.records),
        }
    }

    fn assignment(&self) -> &Assignment {
        self.group.assignment()
    }

    async fn commit(&mut self, partition: &Partition, next_offset: u64) -> Result<(), LogError> {
        if self.is_held {
            self.commits.send_modify(|commits| *commits += 1);
        }
        self.wait(Hold::Commits).await;
        self.group.commit(partition, next_offset).await
    }

    async fn seek(&mut self, partition: &Partition, offset: u64) -> Result<(), LogError> {
        self.group.seek(partition, offset).await
    }
}
