//! Document stores and logs of which one call fails, as the store of the test kit does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use crawldb::testkit::Moment;
use crawldb::{Document, DocumentStore, IndexName, StoreError, Written};
use model::{PageUrl, Timestamp};
use updates::{
    Consumer, LogError, LogStore, NewRecord, Partition, Position, Record, Subscription, Topic, UpdateLog,
    Watermarks,
};

/// Counts calls and says which one fails.
pub(crate) struct Fuse {
    fails_at: u64,
    moment: Moment,
    calls: AtomicU64,
}

impl Fuse {
    pub(crate) fn new(fails_at: u64, moment: Moment) -> Self {
        Self {
            fails_at,
            moment,
            calls: AtomicU64::new(0),
        }
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    async fn pass<T, E>(
        &self,
        call: impl Future<Output = Result<T, E>> + Send,
        fault: impl Fn() -> E + Send,
    ) -> Result<T, E> {
        let fails = self.calls.fetch_add(1, Ordering::SeqCst) + 1 == self.fails_at;
        if fails && self.moment == Moment::Before {
            return Err(fault());
        }
        let answer = call.await;
        if fails { Err(fault()) } else { answer }
    }
}

fn store_fault() -> StoreError {
    StoreError {
        place: "faulty documents".into(),
        reason: "they were told to fail here".into(),
        retryable: true,
        source: None,
    }
}

fn log_fault() -> LogError {
    LogError::Store {
        place: "a faulty log".into(),
        reason: "it was told to fail here".into(),
        source: None,
    }
}

pub(crate) struct FaultyDocuments {
    pub(crate) inner: Arc<dyn DocumentStore>,
    pub(crate) fuse: Arc<Fuse>,
}

#[async_trait]
impl DocumentStore for FaultyDocuments {
    async fn index_in_force(&self) -> Result<IndexName, StoreError> {
        self.fuse.pass(self.inner.index_in_force(), store_fault).await
    }

    async fn swap_index(&self, current: &IndexName, next: &IndexName) -> Result<bool, StoreError> {
        self.inner.swap_index(current, next).await
    }

    async fn drop_index(&self, index: &IndexName) -> Result<(), StoreError> {
        self.inner.drop_index(index).await
    }

    async fn get_documents(
        &self,
        index: &IndexName,
        urls: &[PageUrl],
    ) -> Result<Vec<Option<Document>>, StoreError> {
        let get = self.inner.get_documents(index, urls);
        self.fuse.pass(get, store_fault).await
    }

    async fn put_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let put = self.inner.put_documents(index, documents);
        self.fuse.pass(put, store_fault).await
    }

    async fn delete_documents(
        &self,
        index: &IndexName,
        documents: &[Document],
    ) -> Result<Vec<Written>, StoreError> {
        let delete = self.inner.delete_documents(index, documents);
        self.fuse.pass(delete, store_fault).await
    }

    async fn scan_documents(
        &self,
        index: &IndexName,
        after: Option<&PageUrl>,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        self.inner.scan_documents(index, after, limit).await
    }

    async fn count_documents(&self, index: &IndexName) -> Result<u64, StoreError> {
        self.inner.count_documents(index).await
    }

    async fn refresh_documents(&self) -> Result<(), StoreError> {
        self.inner.refresh_documents().await
    }
}

pub(crate) struct FaultyLog {
    pub(crate) inner: UpdateLog,
    pub(crate) fuse: Arc<Fuse>,
}

#[async_trait]
impl LogStore for FaultyLog {
    async fn ensure_topic(&self, topic: &Topic) -> Result<(), LogError> {
        self.inner.ensure_topic(topic).await
    }

    async fn topics(&self) -> Result<Vec<Topic>, LogError> {
        self.inner.topics().await
    }

    async fn delete_topic(&self, name: &str) -> Result<(), LogError> {
        self.inner.delete_topic(name).await
    }

    async fn append(&self, topic: &str, records: &[NewRecord]) -> Result<Vec<Position>, LogError> {
        let append = self.inner.append_records(topic, records);
        self.fuse.pass(append, log_fault).await
    }

    async fn read(&self, partition: &Partition, from: u64, max: usize) -> Result<Vec<Record>, LogError> {
        self.inner.read(partition, from, max).await
    }

    async fn watermarks(&self, topic: &str) -> Result<Vec<Watermarks>, LogError> {
        self.inner.watermarks(topic).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<u64>, LogError> {
        self.fuse
            .pass(self.inner.committed(group, topic), log_fault)
            .await
    }

    async fn members(&self, group: &str) -> Result<Vec<String>, LogError> {
        self.inner.members(group).await
    }

    async fn consumer(&self, group: &str, _: &Subscription) -> Result<Box<dyn Consumer>, LogError> {
        Err(LogError::Invalid(format!(
            "nobody joins {group} through a faulty log"
        )))
    }

    async fn clean_up(&self, now: Timestamp) -> Result<u64, LogError> {
        self.inner.clean_up(now).await
    }
}
